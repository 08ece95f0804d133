"""Which files a video came from: the model's transformer and the LoRAs, by their content. Imports no torch.

Reading them takes a while the first time, so a thread does it while the model works; what is not known when
the video is written is left out, and is known for the next one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from wan_core.catalog import ModelSpec, Role, find_model
from wan_core.lora.shelf import find_lora
from wan_core.manager.file_hashes import FileHashes
from wan_core.manager.shards import expand
from wan_core.manager.weights import WeightStore
from wan_core.schema import (
    Emit,
    GenerationRequest,
    InvalidRequest,
    ProgressEvent,
    Settings,
    Stage,
    WeightsError,
)

_PATIENCE = 5.0  # seconds, when the video is ready to be written

log = logging.getLogger(__name__)


class Origins:
    """The digests of what a request is made with, being found out.

    Args:
        request: names the model and the LoRAs.
        settings: where LoRAs are, and what is known already.
        weights: where the model's files are.
    """

    def __init__(self, request: GenerationRequest, settings: Settings, weights: WeightStore) -> None:
        self._request = request
        self._settings = settings
        self._weights = weights
        self._hashes = FileHashes(settings)
        self._found: dict[str, Any] = {}
        self._thread: threading.Thread | None = None

    def when_denoising(self, emit: Emit) -> Emit:
        """``emit``, which also begins the search at the first step: loading has the disk to itself."""

        wanted = self._request.embed_metadata or self._request.sidecar

        def told(event: ProgressEvent) -> None:
            if wanted and event.stage is Stage.DENOISE:
                self._begin()
            emit(event)

        return told

    def found(self, patience: float = _PATIENCE) -> dict[str, Any]:
        """``{"model": [...], "loras": {name: ...}}`` of name, bytes and SHA-256; waits ``patience`` seconds.

        What is not known by then is missing.
        """
        self._begin()
        self._thread.join(patience)
        return dict(self._found)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._search, daemon=True, name="origins")
            self._thread.start()

    def _search(self) -> None:
        loras = {}
        for use in self._request.loras:
            with suppress(OSError, InvalidRequest):
                path = find_lora(self._settings, use.file)
                loras[use.file] = self._facts(path)
        if loras:
            self._found["loras"] = loras
        try:
            files = [
                {"name": path.name, **self._facts(path)}
                for path in transformer_files(self._weights, find_model(self._request.model))
            ]
        except (OSError, InvalidRequest, WeightsError) as error:
            log.warning("The digest of %s is not known: %s", self._request.model, error)
            return
        self._found["model"] = files

    def _facts(self, path: Path) -> dict[str, Any]:
        return {"bytes": path.stat().st_size, "sha256": self._hashes.digest(path)}


def known_origins(request: GenerationRequest, settings: Settings, weights: WeightStore) -> dict[str, Any]:
    """The same without a wait: LoRAs are read once; of the model, what has been read before.

    What is not known, or not here, is missing.
    """
    hashes, loras, files = FileHashes(settings), {}, []
    for use in request.loras:
        with suppress(OSError, InvalidRequest):
            path = find_lora(settings, use.file)
            loras[use.file] = {"bytes": path.stat().st_size, "sha256": hashes.digest(path)}
    with suppress(OSError, InvalidRequest, WeightsError):
        for path in transformer_files(weights, find_model(request.model)):
            if digest := hashes.known(path):
                files.append({"name": path.name, "bytes": path.stat().st_size, "sha256": digest})
    return {name: found for name, found in (("loras", loras), ("model", files)) if found}


def transformer_files(weights: WeightStore, spec: ModelSpec) -> Iterator[Path]:
    """The files of a model's transformer that are on this machine, without the index of shards.

    Raises:
        WeightsError: an index is damaged.
    """
    found = weights.as_found(spec)
    folder = weights.locate(found, Role.TRANSFORMER)
    if folder is None:
        return
    for name in expand(folder, found.weights[Role.TRANSFORMER].files):
        if not name.endswith(".json"):
            yield folder / name

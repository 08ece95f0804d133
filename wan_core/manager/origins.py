"""Which files a video came from: transformer, LoRAs and upscaler, by their content. Imports no torch.

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
from wan_core.upscaling.shelf import find_upscaler

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
        """``{"model": [...], "loras": {name: ...}, "upscaler": ...}`` of name, bytes and SHA-256.

        It waits ``patience`` seconds.

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
        self._found |= _named_files(self._request, self._settings, self._hashes)
        try:
            files = [
                {"name": path.name, **_facts(path, self._hashes)}
                for path in transformer_files(self._weights, find_model(self._request.model))
            ]
        except (OSError, InvalidRequest, WeightsError) as error:
            log.warning("The digest of %s is not known: %s", self._request.model, error)
            return
        self._found["model"] = files


def _facts(path: Path, hashes: FileHashes) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": hashes.digest(path)}


def _named_files(request: GenerationRequest, settings: Settings, hashes: FileHashes) -> dict[str, Any]:
    """The LoRAs and the upscaler that a request names, as far as they are here."""
    loras: dict[str, Any] = {}
    for use in request.loras:
        with suppress(OSError, InvalidRequest):
            loras[use.file] = _facts(find_lora(settings, use.file), hashes)
    found: dict[str, Any] = {"loras": loras} if loras else {}
    if request.upscaler:
        with suppress(OSError, InvalidRequest):
            facts = _facts(find_upscaler(settings, request.upscaler), hashes)
            found["upscaler"] = {"name": request.upscaler, **facts}
    return found


def known_origins(request: GenerationRequest, settings: Settings, weights: WeightStore) -> dict[str, Any]:
    """The same without a wait: LoRAs and upscaler are read once; of the model, what has been read before.

    What is not known, or not here, is missing.
    """
    hashes, files = FileHashes(settings), []
    found = _named_files(request, settings, hashes)
    with suppress(OSError, InvalidRequest, WeightsError):
        for path in transformer_files(weights, find_model(request.model)):
            if digest := hashes.known(path):
                files.append({"name": path.name, "bytes": path.stat().st_size, "sha256": digest})
    return {**found, "model": files} if files else found


def transformer_files(weights: WeightStore, spec: ModelSpec) -> Iterator[Path]:
    """The files of a model's transformer that are on this machine, without the index of shards.

    Raises:
        WeightsError: an index is damaged.
    """
    return files_of(weights, spec, Role.TRANSFORMER)


def files_of(weights: WeightStore, spec: ModelSpec, role: Role) -> Iterator[Path]:
    """The same of any part."""
    found = weights.as_found(spec)
    folder = weights.locate(found, role)
    if folder is None:
        return
    for name in expand(folder, found.weights[role].files):
        if not name.endswith(".json"):
            yield folder / name

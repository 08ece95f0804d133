"""Where a model's files are: in a local folder, in the hub cache, or still to be downloaded.

Imports no torch, so that the web process can say what is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from huggingface_hub import constants

from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles
from wan_core.manager.download import HubRepo, download, kept_bytes
from wan_core.manager.shards import expand, is_complete
from wan_core.schema import DownloadError, Emit, Settings, WeightsError

Part = Role | Literal["tokenizer"]
"""A role, or the tokenizer's folder: what is located and fetched on its own."""


def model_parts(spec: ModelSpec) -> dict[Part, WeightFiles]:
    """Every part of a model and its files, in the order in which they are fetched."""
    return {"tokenizer": spec.tokenizer, **spec.weights}


class WeightStore:
    """Finds and fetches the files of the catalog's models.

    A part is looked for in the model's built-in folder; else in ``settings.models_dir/<repository
    name>`` (the official layout), then in the hub cache. A part that several models share, such as the
    umT5 of all Wan2.1 models, is found in any of their folders.

    Args:
        settings: ``models_dir`` and ``offline`` are read.
        endpoint: address of the hub; ``None`` is ``$HF_ENDPOINT``, else huggingface.co.
        hub_cache: the hub cache; ``None`` is ``$HF_HUB_CACHE``, else the library's default.
    """

    def __init__(
        self, settings: Settings, endpoint: str | None = None, hub_cache: Path | None = None
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._hub_cache = Path(hub_cache or constants.HF_HUB_CACHE)

    def folder(self, spec: ModelSpec) -> Path:
        """Where this model's files are kept, or would be downloaded to."""
        return spec.folder or self._settings.models_dir / spec.repo.rsplit("/", 1)[-1]

    def locate(self, spec: ModelSpec, part: Part) -> Path | None:
        """The folder that holds all files of ``part``; ``None`` if no folder does. Asks no network.

        Raises:
            WeightsError: an index of shards is damaged.
        """
        files = model_parts(spec)[part].files
        return next((f for f in self._candidates(spec, part) if is_complete(f, files)), None)

    def require(self, spec: ModelSpec, part: Part) -> Path:
        """The folder that holds all files of ``part``.

        Raises:
            WeightsError: it is nowhere; the message says how to get it.
        """
        folder = self.locate(spec, part)
        if folder is None:
            name = model_parts(spec)[part].files[0]
            remedy = (
                "install Wan Studio again"
                if spec.folder
                else f"download it with `python -m wan_core models download {spec.id}`"
            )
            raise WeightsError(f"{spec.title} lacks {name} in {self.folder(spec)}; {remedy}.")
        return folder

    def missing(self, spec: ModelSpec) -> dict[Part, int]:
        """The parts that are nowhere -> bytes still to download for each. Asks no network."""
        return {
            part: max(files.size - self._kept(spec, files), 0)
            for part, files in model_parts(spec).items()
            if self.locate(spec, part) is None
        }

    def fetch(self, spec: ModelSpec, emit: Emit) -> Path:
        """Download what is missing, going on where an earlier download stopped.

        Args:
            spec: the model.
            emit: receives ``Stage.DOWNLOAD`` events, ``step`` of ``total`` in bytes, at least twice a
                second; what it raises (``Cancelled``) ends the download at once, and what has arrived
                is kept.

        Returns:
            The model's own folder; parts that were found elsewhere stay where they are.

        Raises:
            DownloadError: one sentence with the repository, the file and the remedy.
        """
        missing = self.missing(spec)
        if not missing:
            return self.folder(spec)
        if spec.folder:
            self.require(spec, next(iter(missing)))
        if self._settings.offline or constants.is_offline_mode():
            raise DownloadError(
                f"{spec.repo} is not on this machine and the studio is offline; "
                f"go online, or copy the official files to {self.folder(spec)}."
            )
        wanted = [files for part, files in model_parts(spec).items() if part in missing]
        download(
            HubRepo(spec.repo, spec.revision, self._endpoint),
            {name: digest for files in wanted for name, digest in files.digests().items()},
            self.folder(spec),
            emit,
        )
        return self.folder(spec)

    def _kept(self, spec: ModelSpec, files: WeightFiles) -> int:
        """Bytes of ``files`` that an unfinished download has left in the model's own folder."""
        folder = self.folder(spec)
        return sum(kept_bytes(folder / name) for name in expand(folder, files.files))

    def _candidates(self, spec: ModelSpec, part: Part) -> Iterator[Path]:
        """Folders that may hold ``part``, the preferred first."""
        if spec.folder:
            yield spec.folder
            return
        files = model_parts(spec)[part]
        sharers = [other for other in MODELS.values() if other.repo and model_parts(other)[part] == files]
        models = [spec, *(other for other in sharers if other.id != spec.id)]
        yield from (self.folder(model) for model in models)
        for model in models:
            yield from self._snapshots(model)

    def _snapshots(self, spec: ModelSpec) -> Iterator[Path]:
        """The hub cache's snapshots of a repository: the catalog's revision, ``main``, then others."""
        root = self._hub_cache / ("models--" + spec.repo.replace("/", "--"))
        if not (root / "snapshots").is_dir():
            return
        revisions = [spec.revision]
        for ref in (root / "refs" / spec.revision, root / "refs" / "main"):
            if ref.is_file():
                revisions.append(ref.read_text().strip())
        revisions += sorted(path.name for path in (root / "snapshots").iterdir())
        for revision in dict.fromkeys(revisions):
            yield root / "snapshots" / revision

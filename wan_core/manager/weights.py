"""Where a model's files are: in a local folder, in the hub cache, or still to be downloaded.

Imports no torch, so that the web process can say what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from huggingface_hub import constants

from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles
from wan_core.catalog.local import split
from wan_core.manager.download import HubRepo, Order, download, kept_bytes
from wan_core.manager.library import Library
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
    name>`` (the official layout), then in the hub cache. The repository is the model's, or another where
    the part says so. A part that several models share, such as the umT5 of all Wan2.1 models, is found
    in any of their folders; shared is what comes from the same repository or has the same digests.
    Where the official files are nowhere, another file on this machine may stand in for them: ``as_found``.

    Args:
        settings: ``models_dir``, ``model_folders`` and ``offline`` are read.
        endpoint: address of the hub; ``None`` is ``$HF_ENDPOINT``, else huggingface.co.
        hub_cache: the hub cache; ``None`` is ``$HF_HUB_CACHE``, else the library's default.
        chosen: files, by their full paths, that are used for parts of every model.
    """

    def __init__(
        self,
        settings: Settings,
        endpoint: str | None = None,
        hub_cache: Path | None = None,
        chosen: Mapping[Part, WeightFiles] | None = None,
    ) -> None:
        self._settings = settings
        self._chosen = chosen or {}
        self.endpoint = endpoint
        self._hub_cache = Path(hub_cache or constants.HF_HUB_CACHE)
        self.library = Library(settings, self._hub_cache)

    def use(self, settings: Settings) -> None:
        """Look in the folders of other settings from now on."""
        self._settings = settings
        self.library = Library(settings, self._hub_cache)

    @property
    def settings(self) -> Settings:
        """Those that count now."""
        return self._settings

    @property
    def is_offline(self) -> bool:
        """Whether the network may not be used."""
        return self._settings.offline or constants.is_offline_mode()

    def folder(self, spec: ModelSpec, part: Part | None = None) -> Path:
        """Where a part's files are kept, or would be downloaded to; without a part, the model's own."""
        repo = source_of(spec, part).repo if part else spec.repo
        return spec.folder or self._settings.models_dir / repo.rsplit("/", 1)[-1]

    def as_found(self, spec: ModelSpec) -> ModelSpec:
        """``spec`` with the files that are really there, for whoever opens or counts them.

        Files of the library have their full paths: those that a local row names, and those that stand in
        for official ones that are nowhere. What is not on this machine stays as the catalog has it.

        Raises:
            WeightsError: an index of shards is damaged.
        """
        weights = {role: self._chosen.get(role, files) for role, files in spec.weights.items()}
        spec = replace(spec, weights=weights, tokenizer=self._chosen.get("tokenizer", spec.tokenizer))
        for role in weights:
            if self.locate(spec, role) is None:
                weights[role] = self._own_files(spec, role) or weights[role]
        return spec

    def local_models(self) -> tuple[ModelSpec, ...]:
        """Rows for the transformers on this machine that are not the official files themselves."""
        return tuple(row for row in self.library.models() if not self._is_official(row))

    def locate(self, spec: ModelSpec, part: Part) -> Path | None:
        """The folder that holds all files of ``part``; ``None`` if no folder does. Asks no network.

        Raises:
            WeightsError: an index of shards is damaged.
        """
        files = model_parts(spec)[part]
        if files.is_local:  # names that a request may have made up; see ``as_found``
            return None
        return next((f for f in self._candidates(spec, part) if is_complete(f, files.files)), None)

    def require(self, spec: ModelSpec, part: Part) -> Path:
        """The folder that holds all files of ``part``.

        Raises:
            WeightsError: it is nowhere; the message says how to get it.
        """
        folder = self.locate(spec, part)
        if folder is None:
            files = model_parts(spec)[part]
            if files.are_own:
                raise WeightsError(
                    f"{' or '.join(files.files)} is no longer in any of the model folders; put it back, or "
                    "choose another model."
                )
            remedy = (
                "install Wan Studio again"
                if spec.folder
                else f"download it with `python -m wan_core models download {spec.id}`"
            )
            raise WeightsError(f"{spec.title} lacks {files.files[0]} in {self.folder(spec, part)}; {remedy}.")
        return folder

    def missing(self, spec: ModelSpec) -> dict[Part, int]:
        """The parts that are nowhere -> bytes still to download for each. Asks no network."""
        spec = self.as_found(spec)
        return {
            part: 0 if files.are_own else max(files.size - self.kept_bytes(spec, part), 0)
            for part, files in model_parts(spec).items()
            if self.locate(spec, part) is None
        }

    def kept_bytes(self, spec: ModelSpec, part: Part) -> int:
        """Bytes of a part that are in its own folder, an unfinished download's included."""
        folder = self.folder(spec, part)
        return sum(kept_bytes(folder / name) for name in expand(folder, model_parts(spec)[part].files))

    def fetch(self, spec: ModelSpec, emit: Emit) -> Path:
        """Download what is missing, going on where an earlier download stopped.

        Args:
            spec: the model.
            emit: receives ``Stage.DOWNLOAD`` events, ``step`` of ``total`` in bytes, at least twice a
                second; what it raises (``Cancelled``) ends the download at once, and what has arrived
                is kept.

        Returns:
            The model's own folder; parts that were found elsewhere stay where they are, and parts of
            other repositories go to those repositories' folders.

        Raises:
            DownloadError: one sentence with the repository, the file and the remedy.
        """
        missing = self.missing(spec)
        if not missing:
            return self.folder(spec)
        for part in missing:
            if spec.folder or model_parts(spec)[part].are_own:
                self.require(spec, part)
        self._download(list(self._orders(spec, missing)), emit)
        return self.folder(spec)

    def helper(self, files: WeightFiles, emit: Emit) -> Path:
        """The folder of a small model that is no part of a video model, fetched if it is nowhere.

        Args:
            files: a row of ``wan_core.catalog.helpers``.
            emit: as in ``fetch``.

        Raises:
            DownloadError: as ``fetch``.
        """
        own = self._settings.models_dir / files.repo.rsplit("/", 1)[-1]
        for folder in (own, *self._snapshots(files)):
            if is_complete(folder, files.files):
                return folder
        repo = HubRepo(files.repo, files.revision, self.endpoint)
        self._download([Order(repo, files.digests(), own)], emit)
        return own

    def _download(self, orders: list[Order], emit: Emit) -> None:
        if self.is_offline:
            raise DownloadError(
                f"{orders[0].repo.repo} is not on this machine and the studio is offline; "
                f"go online, or copy the official files to {orders[0].folder}."
            )
        download(orders, emit)

    def _orders(self, spec: ModelSpec, parts: Iterable[Part]) -> Iterator[Order]:
        """What is to be downloaded, by repository."""
        wanted: dict[tuple[str, str], list[Part]] = {}
        for part in parts:
            source = source_of(spec, part)
            wanted.setdefault((source.repo, source.revision), []).append(part)
        for (repo, revision), group in wanted.items():
            digests = {n: d for part in group for n, d in model_parts(spec)[part].digests().items()}
            yield Order(HubRepo(repo, revision, self.endpoint), digests, self.folder(spec, group[0]))

    def _own_files(self, spec: ModelSpec, role: Role) -> WeightFiles | None:
        """The library's files for a part: those that a local row names, or one that stands in."""
        files = spec.weights[role]
        if files.is_local:
            found = [self.library.find(name) for name in files.files]
        else:
            found = [None if spec.folder else self.library.stand_in(spec, role)]
        if None in found:
            return None
        paths = tuple(str(path) for file in found for path in file.files)
        return WeightFiles(paths, sum(file.size for file in found), scheme=found[0].scheme)

    def _is_official(self, row: ModelSpec) -> bool:
        """Whether a local row names what the table's row would open anyway."""
        base = MODELS[split(row.id)[0]]
        folder = self.locate(base, Role.TRANSFORMER)
        mine = self.as_found(row).weights[Role.TRANSFORMER].files
        return folder is not None and mine == tuple(
            str(folder / name) for name in base.weights[Role.TRANSFORMER].files
        )

    def _candidates(self, spec: ModelSpec, part: Part) -> Iterator[Path]:
        """Folders that may hold ``part``, the preferred first."""
        if spec.folder:
            yield spec.folder
            return
        own = source_of(spec, part)
        rows = [row for row in MODELS.values() if row.repo and part in model_parts(row)]
        shared = [(row, source) for row in rows if _is_same(source := source_of(row, part), own)]
        sources = [(spec, own), *((row, source) for row, source in shared if row.id != spec.id)]
        yield from dict.fromkeys(self.folder(row, part) for row, _ in sources)
        for root in self._settings.model_folders:
            yield from dict.fromkeys(root / source.repo.rsplit("/", 1)[-1] for _, source in sources)
        for source in dict.fromkeys(source for _, source in sources):
            yield from self._snapshots(source)

    def _snapshots(self, source: WeightFiles) -> Iterator[Path]:
        """The hub cache's snapshots of a repository: the catalog's revision, ``main``, then others."""
        root = self._hub_cache / ("models--" + source.repo.replace("/", "--"))
        if not (root / "snapshots").is_dir():
            return
        revisions = [source.revision]
        for ref in (root / "refs" / source.revision, root / "refs" / "main"):
            if ref.is_file():
                revisions.append(ref.read_text().strip())
        revisions += sorted(path.name for path in (root / "snapshots").iterdir())
        for revision in dict.fromkeys(revisions):
            yield root / "snapshots" / revision


def source_of(spec: ModelSpec, part: Part) -> WeightFiles:
    """The files of a part, with the repository and revision that they come from."""
    files = model_parts(spec)[part]
    return files if files.repo else replace(files, repo=spec.repo, revision=spec.revision)


def _is_same(one: WeightFiles, other: WeightFiles) -> bool:
    """Whether two parts are the same bytes; equal names and sizes alone do not tell."""
    if one.files != other.files:
        return False
    return one.repo == other.repo or (any(one.sha256) and one.sha256 == other.sha256)

"""What of the catalog is on this machine: each part once, however many models share it. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles
from wan_core.manager import first_seen
from wan_core.manager.found_file import FoundFile
from wan_core.manager.shards import expand
from wan_core.manager.weights import Part, WeightStore, model_parts, source_of
from wan_core.schema import WeightsError

Key = tuple[Part, tuple[str, ...], tuple[str, ...]]
"""What a part is: the same files, from the same repository or with the same digests."""


@dataclass(frozen=True)
class Holding:
    """A part as it is on this machine.

    Attributes:
        part: which part.
        files: what it consists of, with the repository that it comes from.
        folder: where it lies as a whole; None if it does not.
        bytes: what is on the disk of it, an unfinished download's bytes included.
        users: the models of the catalog that it belongs to.
        problem: why it cannot be told, in a sentence.
        is_own: whether a person's own file stands in for the official one; nobody else deletes it.
    """

    part: Part
    files: WeightFiles
    folder: Path | None
    bytes: int
    users: tuple[ModelSpec, ...]
    problem: str = ""
    is_own: bool = False

    @property
    def missing(self) -> int:
        """Bytes still to be downloaded."""
        return 0 if self.folder else max(self.files.size - self.bytes, 0)

    @property
    def is_common(self) -> bool:
        """Whether it is listed beside the models: what several of them share, but for transformers."""
        return len(self.users) > 1 and self.part is not Role.TRANSFORMER


class Stock:
    """All parts of all models that can be downloaded, as they were found when it was taken."""

    def __init__(self, holdings: Mapping[Key, Holding]) -> None:
        self._holdings = holdings

    def models(self) -> list[ModelSpec]:
        """The models that can be downloaded, in the catalog's order."""
        return [spec for spec in MODELS.values() if spec.folder is None]

    def of(self, spec: ModelSpec) -> list[Holding]:
        """The parts of a model."""
        return [self._holdings[key_of(spec, part)] for part in model_parts(spec)]

    def missing(self, spec: ModelSpec) -> int:
        """Bytes still to be downloaded for a model."""
        return sum(holding.missing for holding in self.of(spec))

    def is_here(self, spec: ModelSpec) -> bool:
        """Whether a model can be used as it is."""
        return all(holding.folder for holding in self.of(spec))

    def has_begun(self, spec: ModelSpec) -> bool:
        """Whether there is something of a model that does not belong to another one first."""
        return any(part.bytes for part in self.of(spec) if not part.is_common and part.users[0] is spec)

    def common(self) -> list[Holding]:
        """The parts on this machine that several models share."""
        return [part for part in self._holdings.values() if part.is_common and part.bytes]

    def others(self, store: WeightStore) -> list[FoundFile]:
        """The checkpoints on this machine that are not the official files listed here."""
        listed = {
            holding.folder / name
            for holding in self._holdings.values()
            if holding.folder and not holding.is_own
            for name in expand(holding.folder, holding.files.files)
        }
        return [found for found in store.library.files() if not listed.issuperset(found.files)]

    @property
    def bytes(self) -> int:
        """What is on the disks, each file counted once."""
        return sum(holding.bytes for holding in self._holdings.values())

    def users_besides(self, spec: ModelSpec, key: Key) -> list[ModelSpec]:
        """Other models, at least begun on this machine, that need a part of this one.

        Begun is a model of which there is something that ``spec`` does not have, too.
        """
        mine = {key_of(spec, part) for part in model_parts(spec)}
        return [
            other
            for other in self._holdings[key].users
            if other.id != spec.id
            and any(
                self._holdings[theirs].bytes
                for part in model_parts(other)
                if (theirs := key_of(other, part)) not in mine
            )
        ]


@dataclass(frozen=True)
class Deletion:
    """What deleting a model would do.

    Attributes:
        files: what goes; all of it inside the models folder.
        bytes: their size.
        kept: parts that stay -> the models that need them.
        elsewhere: parts that stay, because no download of ours brought them -> where they lie.
    """

    files: tuple[Path, ...]
    bytes: int
    kept: Mapping[Part, tuple[ModelSpec, ...]]
    elsewhere: Mapping[Part, Path]


def key_of(spec: ModelSpec, part: Part) -> Key:
    """What identifies a part among those of all models."""
    files = source_of(spec, part)
    return part, files.files, files.sha256 if any(files.sha256) else (files.repo,)


def take_stock(store: WeightStore) -> Stock:
    """Look at the disks; takes milliseconds and asks no network."""
    users: dict[Key, list[ModelSpec]] = {}
    for spec in MODELS.values():
        if spec.folder is None:
            for part in model_parts(spec):
                users.setdefault(key_of(spec, part), []).append(spec)
    return Stock({key: _holding(store, key[0], specs) for key, specs in users.items()})


def _holding(store: WeightStore, part: Part, users: list[ModelSpec]) -> Holding:
    files = source_of(users[0], part)
    try:
        folder = store.locate(users[0], part)
        if folder is not None:
            size = sum((folder / name).stat().st_size for name in expand(folder, files.files))
        elif (own := store.as_found(users[0]).weights.get(part, files)).are_own:
            return Holding(part, files, Path(own.files[0]).parent, own.size, tuple(users), is_own=True)
        else:
            size = sum({store.folder(spec, part): store.kept_bytes(spec, part) for spec in users}.values())
    except (WeightsError, OSError) as error:
        return Holding(part, files, None, 0, tuple(users), str(error))
    return Holding(part, files, folder, size, tuple(users))


def plan_deletion(store: WeightStore, spec: ModelSpec, models_dir: Path) -> Deletion:
    """What of a model lies in ``models_dir`` and is needed by no other model on this machine."""
    stock, root = take_stock(store), models_dir.resolve()
    files: dict[Path, int] = {}
    kept: dict[Part, tuple[ModelSpec, ...]] = {}
    elsewhere: dict[Part, Path] = {}
    for holding in stock.of(spec):
        others = stock.users_besides(spec, key_of(spec, holding.part))
        if holding.bytes and others:
            kept[holding.part] = tuple(others)
            continue
        if holding.is_own:
            elsewhere[holding.part] = holding.folder
        for path in _paths(store, spec, holding):
            if path.resolve().is_relative_to(root):
                files[path] = path.stat().st_size
            elif holding.folder is not None:
                elsewhere[holding.part] = holding.folder
    return Deletion(tuple(files), sum(files.values()), kept, elsewhere)


def _paths(store: WeightStore, spec: ModelSpec, holding: Holding) -> Iterator[Path]:
    """The files of a part, whole and begun, wherever they are."""
    places = (None if holding.is_own else holding.folder, store.folder(spec, holding.part))
    for folder in filter(None, dict.fromkeys(places)):
        for name in holding.files.files if holding.problem else expand(folder, holding.files.files):
            path = folder / name
            yield from (
                found for found in (path, *path.parent.glob(f"{path.name}.*.part")) if found.is_file()
            )


def delete(deletion: Deletion, models_dir: Path) -> None:
    """Carry a deletion out, and remove the folders that it leaves empty.

    Raises:
        OSError: a file cannot be removed; the rest stays as it is.
    """
    for path in deletion.files:
        path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in deletion.files}, key=lambda path: -len(path.parts)):
        while folder != models_dir and folder.is_relative_to(models_dir) and _is_bare(folder):
            shutil.rmtree(folder)
            folder = folder.parent


def _is_bare(folder: Path) -> bool:
    """Whether nothing is left in a folder but what downloads keep beside their files."""
    beside = (".download.lock", first_seen.NAME)
    return folder.is_dir() and all(path.name in beside for path in folder.iterdir())

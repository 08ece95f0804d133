"""Every checkpoint on this machine that a model could use, wherever a person keeps it. Imports no torch.

Searched are the studio's own folder, the hub cache, ComfyUI's folders, and those that the settings add. Only
headers are read, and what they said is kept beside the settings until a file changes. A file that is damaged,
hostile or of something else is listed as such; it never ends the search.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.catalog.local import can_be_named, with_files
from wan_core.manager.found_file import FoundFile, all_paths, describe
from wan_core.manager.shards import INDEX_SUFFIX, shard_names, stem
from wan_core.media.atomic import whole_file
from wan_core.schema import Settings, WeightsError
from wan_core.schema.comfyui import comfyui_folders

log = logging.getLogger(__name__)

COMFYUI_FOLDERS = (
    "diffusion_models", "unet", "text_encoders", "clip", "clip_vision", "vae", "vae_approx", "loras",
    "checkpoints",
)  # fmt: skip

_SUFFIXES = (".safetensors", ".gguf", ".pth", ".pt", ".bin", ".ckpt")
_MAX_DEPTH = 6
_MAX_FOLDERS = 5_000
_MAX_FILES = 5_000
_SECONDS_FRESH = 10.0
_CACHE_VERSION = 3
_MAX_CACHE_BYTES = 32 * 2**20
_HUB_WORDS = ("wan", "umt5", "vace")
"""Of the hub cache, repositories with one of these in their names are searched."""


class Library:
    """The checkpoints of this machine; safe to use from any thread.

    Args:
        settings: ``models_dir``, ``model_folders`` and the home, where what was read is kept.
        hub_cache: the hub cache.
    """

    def __init__(self, settings: Settings, hub_cache: Path) -> None:
        self._settings = settings
        self._hub_cache = hub_cache
        self._lock = threading.Lock()
        self._known: dict[str, FoundFile] | None = None  # what was read before, by its fingerprint
        self._files: tuple[FoundFile, ...] = ()
        self._looked = -_SECONDS_FRESH

    def files(self, fresh: bool = False) -> tuple[FoundFile, ...]:
        """All checkpoints, in the order of the folders; looked for anew after a while, or if ``fresh``."""
        with self._lock:
            if fresh or time.monotonic() - self._looked > _SECONDS_FRESH:
                self._files = self._look()
                self._looked = time.monotonic()
            return self._files

    def find(self, name: str) -> FoundFile | None:
        """The checkpoint that a request names."""
        return next((found for found in self.files() if found.name == name), None)

    def stand_in(self, spec: ModelSpec, role: Role) -> FoundFile | None:
        """The best checkpoint that may be used for a part of ``spec`` in place of the official file."""
        fitting = [found for found in self.files() if found.stands_for(spec, role)]
        return min(fitting, key=_worth, default=None)

    def models(self) -> tuple[ModelSpec, ...]:
        """A row for every transformer on the disk, as the model that it fits and resembles most.

        A VACE module makes a row with each text-to-video model that it fits.
        """
        rows = []
        for found in self.files():
            fitting = [MODELS[model] for model in found.models]
            if found.role is not Role.TRANSFORMER or not fitting or not can_be_named(found.name):
                continue
            base = max(fitting, key=found.likeness)  # the first of equals
            trunks = self._trunks(base) if found.is_module else [()]
            rows += [with_files(base, (*trunk, found.name)) for trunk in trunks]
        return tuple(rows)

    def _trunks(self, vace: ModelSpec) -> list[tuple[str, ...]]:
        """The names of transformers that a VACE module for this model can be joined to."""
        wanted = dataclasses.replace(vace.dit, vace_in_dim=0, vace_layers=())
        fitting = {model for model, row in MODELS.items() if row.dit == wanted}
        whole = (found for found in self.files() if found.role is Role.TRANSFORMER and not found.is_module)
        return [(f.name,) for f in whole if fitting & set(f.models) and can_be_named(f.name)]

    def _look(self) -> tuple[FoundFile, ...]:
        if self._known is None:
            self._known = _read_cache(self._cache_path)
        known, seen = {}, {}
        for name, files in self._checkpoints():
            print_ = _fingerprint(name, files)
            known[print_] = self._known.get(print_) or describe(name, files)
            seen.setdefault(name, known[print_])
            if len(seen) >= _MAX_FILES:
                break
        if known.keys() != self._known.keys():
            _write_cache(self._cache_path, known)
        self._known = known
        return tuple(seen.values())

    @property
    def _cache_path(self) -> Path:
        return self._settings.home / "library.json"

    def _checkpoints(self) -> Iterator[tuple[str, tuple[Path, ...]]]:
        """Name and files of every checkpoint, each file once."""
        visited: set[Path] = set()
        for label, root in self._roots():
            for folder, names in _walk(root, visited):
                for files in grouped(folder, names):
                    yield "/".join((*label, *files[0].relative_to(root).parts)), files

    def _roots(self) -> Iterator[tuple[tuple[str, ...], Path]]:
        """The folders to be searched, the preferred first, with what goes before the names in them."""
        yield (), self._settings.models_dir
        for folder in (*self._settings.model_folders, *comfyui_folders()):
            models = next((f for f in (folder / "models", folder) if _is_comfyui(f)), None)
            if models:
                yield from (((), models / kind) for kind in COMFYUI_FOLDERS)
            else:
                yield (folder.name,), folder
        for repo in sorted(self._hub_cache.glob("models--*")):
            name = repo.name.rpartition("--")[2]
            if any(word in name.lower() for word in _HUB_WORDS):
                yield from (((name,), snapshot) for snapshot in sorted(repo.glob("snapshots/*")))


def _is_comfyui(folder: Path) -> bool:
    return any((folder / kind).is_dir() for kind in ("diffusion_models", "unet"))


def _walk(root: Path, visited: set[Path], depth: int = 0) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below ``root`` with the names of its files; links are followed, each folder once."""
    try:
        real = root.resolve()
        if real in visited or len(visited) > _MAX_FOLDERS:
            return
        visited.add(real)
        with os.scandir(root) as entries:
            listed = sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in entries)
    except (OSError, RuntimeError):  # gone, not ours to read, or links in a circle
        return
    yield root, [name for name, _, is_file in listed if is_file]
    if depth < _MAX_DEPTH:
        for name, is_folder, _ in listed:
            if is_folder and not name.startswith("."):
                yield from _walk(root / name, visited, depth + 1)


def grouped(folder: Path, names: Sequence[str]) -> Iterator[tuple[Path, ...]]:
    """The checkpoints of a folder: an index stands for its shards, numbered files belong together."""
    indexed: set[str] = set()
    for name in names:
        if name.endswith(INDEX_SUFFIX):
            try:
                indexed.update(shard_names(folder / name))
            except WeightsError:
                log.debug("%s is no index of shards", folder / name)
                continue
            yield (folder / name,)
    groups: dict[str, list[Path]] = {}
    for name in names:
        if name.lower().endswith(_SUFFIXES) and name not in indexed:
            groups.setdefault(stem(name), []).append(folder / name)
    yield from map(tuple, groups.values())


def _worth(found: FoundFile) -> tuple[bool, int, bool, int]:
    """Plain weights first, the smallest of them; then the largest of the quantised ones.

    Of files that are about as large, safetensors go before others.
    """
    plain = found.scheme in ("fp32", "bf16", "fp16")
    size = found.size if plain else -found.size
    other = any(path.suffix not in (".safetensors", ".json") for path in found.files)
    return not plain, round(size, 1 - len(str(found.size))), other, size


def _fingerprint(name: str, files: Sequence[Path]) -> str:
    """Changes whenever one of the files does."""
    facts = []
    try:
        for path in all_paths(files):
            status = path.stat()
            facts.append(f"{status.st_size}-{status.st_mtime_ns}")
    except (OSError, WeightsError) as error:
        facts.append(str(error))
    return "\n".join((name, str(files[0]), *facts))


def _signature() -> str:
    """What besides the files decides what is said of them."""
    return f"{_CACHE_VERSION} {' '.join(MODELS)}"


def _read_cache(path: Path) -> dict[str, FoundFile]:
    try:
        if path.stat().st_size > _MAX_CACHE_BYTES:
            return {}
        content = json.loads(path.read_bytes())
        if content["signature"] != _signature():
            return {}
        return {print_: _from_json(kept) for print_, kept in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # it is read anew


def _from_json(kept: dict) -> FoundFile:
    role = Role(kept["role"]) if kept["role"] else None
    files, models = tuple(Path(path) for path in kept["files"]), tuple(kept["models"])
    return FoundFile(**{**kept, "role": role, "files": files, "models": models})


def _write_cache(path: Path, known: dict[str, FoundFile]) -> None:
    content = {
        "signature": _signature(),
        "files": {print_: dataclasses.asdict(found) for print_, found in known.items()},
    }
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(content, default=str), encoding="utf-8")
    except OSError as error:
        log.warning("What was found cannot be kept in %s: %s", path, error)

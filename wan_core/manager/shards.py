"""The files of one part of a model: which shards an index names, and whether all are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from wan_core.schema import WeightsError

INDEX_SUFFIX = ".index.json"
_MAX_INDEX_BYTES = 8 * 2**20
_NUMBER = re.compile(r"-\d{5}-of-\d{5}(?=\.\w+$)")


def shard_names(index: Path) -> tuple[str, ...]:
    """The shards that an index file names, sorted; they lie beside it.

    Raises:
        WeightsError: the file is no index, or names a file outside its own folder.
    """
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        if not names or any(Path(name).name != name for name in names):
            raise ValueError("it names no shards of its own folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{index} is no index of a sharded checkpoint ({error}); delete it and download the model again."
        ) from error
    return tuple(names)


def expand(folder: Path, files: Iterable[str]) -> list[str]:
    """``files`` with every index that is there followed by its shards.

    Raises:
        WeightsError: an index is damaged.
    """
    names = []
    for name in files:
        names.append(name)
        if name.endswith(INDEX_SUFFIX) and (folder / name).is_file():
            names += [str(Path(name).parent / shard) for shard in shard_names(folder / name)]
    return names


def is_complete(folder: Path, files: Iterable[str]) -> bool:
    """Whether every file, and every shard of every index, lies in ``folder`` and is not empty.

    Raises:
        WeightsError: an index is damaged.
    """
    paths = [folder / name for name in expand(folder, files)]
    return all(path.is_file() and path.stat().st_size > 0 for path in paths)


def checkpoints(folder: Path, files: Iterable[str]) -> list[list[Path]]:
    """The checkpoints that ``files`` name, each as its shards: those of an index, or of one numbered name.

    Raises:
        WeightsError: a file or a shard is missing, or an index is damaged.
    """
    found: dict[str, list[Path]] = {}
    for name in files:
        path = folder / name
        if name.endswith(INDEX_SUFFIX):
            found[name] = _indexed(path)
        else:
            found.setdefault(stem(name), []).append(path)
    return list(found.values())


def stem(name: str) -> str:
    """A file's name without the number that it has among the shards of a checkpoint."""
    return _NUMBER.sub("", name)


def _indexed(index: Path) -> list[Path]:
    if not index.is_file():
        raise WeightsError(f"{index} is missing; download the model again.")
    shards = shard_names(index)
    for number, shard in enumerate(shards, 1):
        if not (index.parent / shard).is_file():
            raise WeightsError(
                f"{index.parent / shard}, shard {number} of {len(shards)}, is missing; "
                "download the model again, which fetches only what is missing."
            )
    return [index.parent / shard for shard in shards]

"""The files of one part of a model: which shards an index names, and whether all are there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from wan_core.schema import WeightsError

INDEX_SUFFIX = ".index.json"
_MAX_INDEX_BYTES = 8 * 2**20


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


def checkpoint_paths(folder: Path, files: Iterable[str]) -> list[Path]:
    """The checkpoint files themselves: an index is replaced by its shards, in order.

    Raises:
        WeightsError: a file or a shard is missing, or an index is damaged.
    """
    paths = []
    for name in files:
        path = folder / name
        if not name.endswith(INDEX_SUFFIX):
            paths.append(path)
            continue
        if not path.is_file():
            raise WeightsError(f"{path} is missing; download the model again.")
        shards = shard_names(path)
        for number, shard in enumerate(shards, 1):
            if not (path.parent / shard).is_file():
                raise WeightsError(
                    f"{path.parent / shard}, shard {number} of {len(shards)}, is missing; "
                    "download the model again, which fetches only what is missing."
                )
        paths += [path.parent / shard for shard in shards]
    return paths

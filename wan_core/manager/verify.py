"""Reads a model's files again and compares them with what was published. No torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import get_hf_file_metadata

from wan_core.catalog import ModelSpec
from wan_core.manager.digests import Digests
from wan_core.manager.first_seen import FirstSeen, is_loose, recall
from wan_core.manager.shards import expand
from wan_core.manager.transfer import HubRepo
from wan_core.manager.weights import Part, WeightStore, model_parts, source_of
from wan_core.schema import Emit, ProgressEvent, Stage

_READ_BYTES = 2**22
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Verdict:
    """What a look at every byte found.

    ``unknown`` are files whose digest neither catalog nor hub told. ``moved`` are repositories that hold
    something newer by now; what is here is compared with what it was when it was fetched.
    """

    right: tuple[Path, ...] = ()
    wrong: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()
    moved: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    path: Path
    digests: Digests


def verify(store: WeightStore, spec: ModelSpec, emit: Emit) -> Verdict:
    """Compare all files of a model that are on this machine with their SHA-256.

    Where the catalog knows no digest, the hub is asked, if it can be reached.

    Args:
        store: where the files are.
        spec: the model.
        emit: told the bytes read, as events of ``Stage.LOAD``; what it raises ends the reading.

    Raises:
        WeightsError: an index of shards is damaged.
        OSError: a file cannot be read.
    """
    files = [file for part in model_parts(spec) for file in _files(store, spec, part)]
    total, done, started = sum(file.path.stat().st_size for file in files), 0, time.monotonic()
    for file in files:
        with file.path.open("rb") as opened:
            while data := opened.read(_READ_BYTES) if file.digests.known else b"":
                file.digests.update(data)
                done += len(data)
                seconds = time.monotonic() - started
                message = f"Checking {file.path.name}"
                emit(
                    ProgressEvent(stage=Stage.LOAD, step=done, total=total, seconds=seconds, message=message)
                )
    known = [file for file in files if file.digests.known]
    return Verdict(
        tuple(file.path for file in known if file.digests.match()),
        tuple(file.path for file in known if not file.digests.match()),
        tuple(file.path for file in files if not file.digests.known),
        () if store.is_offline else tuple(dict.fromkeys(_moved(store, spec))),
    )


def _files(store: WeightStore, spec: ModelSpec, part: Part) -> Iterator[_File]:
    folder = store.locate(spec, part)
    if folder is None:
        return
    source = source_of(spec, part)
    digests = source.digests()
    seen = recall(folder, source.repo) if is_loose(source.revision) else FirstSeen()
    repo = HubRepo(source.repo, seen.commit or source.revision, store.endpoint)
    for name in expand(folder, source.files):
        path, sha256 = folder / name, digests.get(name, "")
        etag = seen.etags.get(name, "")
        if not (etag or sha256 or store.is_offline):
            etag = _answer(repo, name)[0]
        yield _File(path, Digests(path.stat().st_size, sha256, etag))


def _moved(store: WeightStore, spec: ModelSpec) -> Iterator[str]:
    for part in model_parts(spec):
        source, folder = source_of(spec, part), store.locate(spec, part)
        if folder is None or not source.repo or not is_loose(source.revision):
            continue
        seen = recall(folder, source.repo).commit
        now = _answer(HubRepo(source.repo, source.revision, store.endpoint), source.files[0])[1]
        if seen and now and seen != now:
            yield source.repo


def _answer(repo: HubRepo, name: str) -> tuple[str, str]:
    """What the hub calls the file's content, and the commit; empty where it cannot be asked."""
    try:
        answer = get_hf_file_metadata(repo.url(name), timeout=_TIMEOUT_SECONDS)
    except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled, OSError):
        return "", ""
    return answer.etag or "", answer.commit_hash or ""

"""One run of a download, in a thread of its own: asks the hub, receives, checks, renames."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

import httpx2  # the transport of huggingface_hub 2; its exceptions come through
from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import get_hf_file_metadata
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from wan_core.manager import first_seen
from wan_core.manager.digests import Digests
from wan_core.manager.download_errors import explain, no_hub, not_enough_disk, too_large, wrong_bytes
from wan_core.manager.shards import INDEX_SUFFIX, shard_names

_READ_BYTES = 2**20
DISK_RESERVE = 0.1
"""Share of what is to be received that must stay free on the disk."""
MAX_TRIES = 5
"""Tries in a row that bring nothing new before a download gives up."""
RETRY_SECONDS = 1.0
"""Wait before the second try; it doubles with each further one."""

_MAX_RETRY_SECONDS = 60.0
_TIMEOUT_SECONDS = 10.0
_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_UNREACHABLE = (httpx2.ConnectError, httpx2.ConnectTimeout, OfflineModeIsEnabled)

Answer = TypeVar("Answer")


class Stopped(Exception):
    """The download was told to stop; ends the thread and is never seen outside this package."""


@dataclass(frozen=True)
class HubRepo:
    """A repository at a commit. ``endpoint`` ``None`` is ``$HF_ENDPOINT``, else huggingface.co.

    ``official``: the catalog names it; otherwise a person has given its address.
    """

    repo: str
    revision: str
    endpoint: str | None = None
    official: bool = True

    def url(self, name: str) -> str:
        endpoint = self.endpoint or constants.ENDPOINT
        return hf_hub_url(self.repo, name, revision=self.revision, endpoint=endpoint)


@dataclass(frozen=True)
class Order:
    """Files that are wanted of one repository, and where they go.

    ``digests`` says file name -> SHA-256 that the file must have; where it is empty, the hub's word
    counts. An index of shards brings its shards along. ``most``: bytes that they may have; 0 is any number.
    """

    repo: HubRepo
    digests: Mapping[str, str]
    folder: Path
    most: int = 0

    def at(self, commit: str) -> Order:
        """The same of a repository as it was at a commit."""
        return replace(self, repo=replace(self.repo, revision=commit))


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub describes it; ``etag`` is its SHA-256, or its git blob id if it is small.

    ``sha256`` is what the catalog demands, empty where it knows none. ``is_first``: what it was is to be
    remembered, as the catalog knows no commit; see ``first_seen``.
    """

    order: Order
    name: str
    size: int
    etag: str
    sha256: str
    is_first: bool = False

    @property
    def path(self) -> Path:
        return self.order.folder / self.name

    @property
    def part(self) -> Path:
        """Where it grows; another version's never fits."""
        return self.path.with_name(f"{self.path.name}.{re.sub('[^0-9A-Za-z]', '', self.etag)[:16]}.part")


@dataclass(frozen=True)
class TransferState:
    """``done`` of ``total`` bytes are on the disk, ``received`` of them in this run."""

    doing: str
    done: int
    total: int
    received: int


class _Partial:
    """The file that grows, and its running digest. Writes reach the disk's cache at once."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._out = file.part.open("ab", buffering=0)
        self.size = 0
        self._start_digests()

    def _start_digests(self) -> None:
        self._digests = Digests(self._file.size, self._file.sha256, self._file.etag)

    def count(self, data: bytes) -> None:
        """Take bytes into account that are on the disk."""
        self.size += len(data)
        self._digests.update(data)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._out.write(rest) :]
        self.count(data)

    def restart(self) -> None:
        self._out.truncate(0)
        self.size = 0
        self._start_digests()

    def is_right(self) -> bool:
        return self.size == self._file.size and self._digests.match()

    def close(self, flush: bool = False) -> None:
        if flush:
            os.fsync(self._out.fileno())
        self._out.close()


class Transfer:
    """Receives what is ordered, one file after another; see ``wan_core.manager.download.download``."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = orders
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None
        self._state = TransferState(f"Asking the hub about {orders[0].repo.repo}", 0, 0, 0)

    def state(self) -> TransferState:
        return self._state

    def stop(self) -> None:
        """Once this returns, the thread writes nothing more; it ends soon, however silent the network."""
        with self._guard:
            self._stop.set()
            if self._socket:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Receive everything.

        Raises:
            DownloadError: see ``download``.
            Stopped: ``stop`` was called.
        """
        files = [file for order in self._orders for file in self._plan(order)]
        self._check_disks(files)
        self._note(self._state.doing, sum(_kept(file) for file in files), sum(file.size for file in files))
        for file in files:
            self._note(f"Downloading {file.order.repo.repo}")
            self._fetch(file)

    def _plan(self, order: Order) -> list[RemoteFile]:
        """What is not yet there; an index is fetched at once, since it names its shards."""
        self._note(f"Asking the hub about {order.repo.repo}")
        first_seen.forget(order.folder, order.repo.repo, order.digests)
        files = []
        for name, digest in order.digests.items():
            wanted = [(name, digest)]
            if name.endswith(INDEX_SUFFIX):
                if not (order.folder / name).is_file():
                    self._fetch(self._describe(order, name, digest))
                parent = PurePosixPath(name).parent
                wanted = [(str(parent / shard), "") for shard in shard_names(order.folder / name)]
            missing = [pair for pair in wanted if not (order.folder / pair[0]).is_file()]
            files += [self._describe(order, *pair) for pair in missing]
        return files

    def _describe(self, order: Order, name: str, sha256: str) -> RemoteFile:
        loose = order.repo.official and first_seen.is_loose(order.repo.revision)
        seen = first_seen.recall(order.folder, order.repo.repo) if loose else first_seen.FirstSeen()
        if seen.commit:
            order, sha256 = order.at(seen.commit), sha256 or seen.sha256(name)
        url = order.repo.url(name)
        answer = self._retrying(order, name, lambda: get_hf_file_metadata(url, timeout=_TIMEOUT_SECONDS))
        if answer.size is None or not Digests(answer.size, sha256, answer.etag or "").known:
            raise no_hub(order.repo, name)  # what cannot be compared afterwards is not fetched
        if loose and answer.commit_hash and not seen.commit:
            self._note_commit(order, name, answer.commit_hash)
            order = order.at(answer.commit_hash)
        return RemoteFile(order, name, answer.size, answer.etag or sha256, sha256, loose)

    def _note_commit(self, order: Order, name: str, commit: str) -> None:
        try:
            first_seen.note(order.folder, order.repo.repo, commit, {})
        except OSError as error:
            raise explain(error, order.repo, name, order.folder) from error

    def _check_disks(self, files: Sequence[RemoteFile]) -> None:
        """Refuse what would fill a disk; folders on one disk share its room."""
        disks: dict[int, list[RemoteFile]] = {}
        for file in files:
            disks.setdefault(file.order.folder.stat().st_dev, []).append(file)
        for group in disks.values():
            order = group[0].order
            if order.most and sum(file.size for file in group) > order.most:
                raise too_large(order.repo.repo, sum(file.size for file in group), order.most)
            missing, free = sum(f.size - _kept(f) for f in group), shutil.disk_usage(order.folder).free
            if missing * (1 + DISK_RESERVE) > free:
                raise not_enough_disk(order.repo.repo, missing, free, order.folder)

    def _fetch(self, file: RemoteFile) -> None:
        """Receive one file, check it, and give it its name."""
        order = file.order
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            for stale in set(file.path.parent.glob(f"{file.path.name}.*.part")) - {file.part}:
                stale.unlink()
            part = self._open(file)
            try:
                while part.size < file.size:
                    self._retrying(order, file.name, lambda: self._receive(file, part))
            finally:
                part.close(flush=part.size == file.size)
            if not part.is_right():
                file.part.unlink()
                raise wrong_bytes(order.repo, file.name)
            os.replace(file.part, file.path)
            if file.is_first:
                first_seen.note(order.folder, order.repo.repo, order.repo.revision, {file.name: file.etag})
        except OSError as error:
            raise explain(error, order.repo, file.name, order.folder) from error

    def _open(self, file: RemoteFile) -> _Partial:
        """The partial file with what an earlier run left in it taken into account."""
        part = _Partial(file)
        if _size(file.part) > file.size:
            part.restart()
        with file.part.open("rb") as kept:
            while data := kept.read(_READ_BYTES):
                self._check_stop()
                part.count(data)
        return part

    def _receive(self, file: RemoteFile, part: _Partial) -> None:
        """One request, from where the partial file ends to the end of the file."""
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        if part.size:
            headers["Range"] = f"bytes={part.size}-"
        client = get_session()
        with client.stream(
            "GET", file.order.repo.url(file.name), headers=headers, timeout=_TIMEOUT_SECONDS
        ) as response:
            if response.is_error:
                response.read()
            hf_raise_for_status(response)
            if part.size and response.status_code == 200:  # the server knows no ranges
                self._note(self._state.doing, self._state.done - part.size, self._state.total)
                part.restart()
            with self._interruptible(response):
                for chunk in response.iter_bytes():
                    with self._guard:
                        self._check_stop()
                        part.write(chunk)
                    self._note(f"Downloading {file.name}", received=len(chunk))
                    if part.size > file.size:
                        raise wrong_bytes(file.order.repo, file.name)
        if part.size < file.size:
            raise httpx2.RemoteProtocolError("the answer ended early")

    @contextmanager
    def _interruptible(self, response: httpx2.Response) -> Iterator[None]:
        """Lets ``stop`` end the reading of a body."""
        stream = response.extensions.get("network_stream")
        with self._guard:
            self._check_stop()
            self._socket = stream.get_extra_info("socket") if stream else None
        try:
            yield
        finally:
            with self._guard:
                self._socket = None

    def _retrying(self, order: Order, name: str, attempt: Callable[[], Answer]) -> Answer:
        """Repeat what fails for a passing reason, as long as it brings something now and then."""
        tries, received = 0, self._state.received
        while True:
            self._check_stop()
            try:
                return attempt()
            except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled) as error:
                if self._state.received > received:
                    tries, received = 0, self._state.received
                tries += 1
                delay = self._delay(error, tries)
                if delay is None:
                    raise explain(error, order.repo, name, order.folder) from error
            if self._stop.wait(delay):
                raise Stopped

    def _delay(self, error: Exception, tries: int) -> float | None:
        """Seconds to wait before another try; ``None`` where none would help."""
        if tries >= MAX_TRIES:
            return None
        if isinstance(error, HfHubHTTPError):
            if error.response.status_code not in _TRANSIENT_STATUS:
                return None
            asked = error.response.headers.get("Retry-After", "")
            if asked.isdigit():
                return float(asked) if int(asked) <= _MAX_RETRY_SECONDS else None
        elif isinstance(error, _UNREACHABLE) and not self._state.received:
            return None
        return RETRY_SECONDS * 2 ** (tries - 1)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _note(self, doing: str, done: int | None = None, total: int | None = None, received: int = 0) -> None:
        old = self._state
        self._state = TransferState(
            doing,
            old.done + received if done is None else done,
            old.total if total is None else total,
            old.received + received,
        )


def _kept(file: RemoteFile) -> int:
    """Bytes of it that an earlier run left on the disk."""
    return min(_size(file.part), file.size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

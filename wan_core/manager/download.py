"""Fetches files of Hugging Face repositories, resumably. Imports no torch.

The requests, the login and the meaning of the answers are huggingface_hub's; the loop that receives a
file is ours, since the library's own (2.4) removes a partial file when a download ends early, and
reports progress ten megabytes at a time.

A file grows as ``<name>.<etag>.part`` beside its final place, is checked against its digest, flushed to
the disk and then renamed: a file under its final name is always whole.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import filelock

from wan_core.manager.download_errors import explain
from wan_core.manager.transfer import HubRepo, Order, Transfer, TransferState
from wan_core.schema import Emit, ProgressEvent, Stage

__all__ = ["HubRepo", "Order", "download", "follow", "kept_bytes"]

POLL_SECONDS = 0.4
_SPEED_WINDOW_SECONDS = 10.0
_LOCK_NAME = ".download.lock"


def kept_bytes(path: Path) -> int:
    """Bytes of ``path`` that are on the disk: its size, or that of an unfinished download of it."""
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}.*.part"))


def download(orders: Sequence[Order], emit: Emit) -> None:
    """Fetch files, keeping their paths; those that are there are left alone.

    Args:
        orders: what is wanted, at least one; their folders are made if need be. All that they hold is
            one download to whoever looks on.
        emit: receives ``Stage.DOWNLOAD`` events; what it raises ends the download, and what has arrived
            stays for the next try.

    Raises:
        DownloadError: one sentence with the repository, the file and the remedy.
    """
    started = time.monotonic()
    for order in orders:
        try:
            order.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, order.repo, next(iter(order.digests)), order.folder) from error
    with ExitStack() as stack:
        for folder in sorted({order.folder for order in orders}):  # the same order for everyone
            stack.enter_context(_alone(folder, started, emit))
        _run(Transfer(orders), started, emit)


@contextmanager
def _alone(folder: Path, started: float, emit: Emit) -> Iterator[None]:
    """Holds the folder's lock; two processes never write the same partial file."""
    lock = filelock.FileLock(folder / _LOCK_NAME)
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS)
            break
        except filelock.Timeout:
            emit(_event(started, "Waiting for another download into the same folder."))
    try:
        yield
    finally:
        lock.release()


class Following(Protocol):
    """A transfer that runs in a thread and can be looked at and stopped from another."""

    def state(self) -> TransferState:
        """How far it is."""

    def stop(self) -> None:
        """End it; nothing is written any more once this returns."""

    def run(self) -> None:
        """Receive everything."""


def follow(transfer: Following, folder: Path, emit: Emit) -> None:
    """Run a transfer into ``folder``, which is there, and report it as ``download`` does; alone in it."""
    started = time.monotonic()
    with _alone(folder, started, emit):
        _run(transfer, started, emit)


def _run(transfer: Following, started: float, emit: Emit) -> None:
    """Receive in a thread of its own, so that a silent network cannot delay a cancellation."""
    speed = _Speed()
    pool = ThreadPoolExecutor(1, "download")
    work = pool.submit(transfer.run)
    try:
        while not work.done():
            emit(_progress(transfer, speed, started))
            wait([work], timeout=POLL_SECONDS)
    finally:
        transfer.stop()
        pool.shutdown(wait=False)
    work.result()
    emit(_progress(transfer, speed, started))


class _Speed:
    """Bytes per second over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, received: int) -> float:
        now = time.monotonic()
        self._samples.append((now, received))
        while now - self._samples[0][0] > _SPEED_WINDOW_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (received - before) / (now - then) if now > then else 0.0


def _progress(transfer: Following, speed: _Speed, started: float) -> ProgressEvent:
    state = transfer.state()
    rate = speed.add(state.received)
    if not state.total:
        return _event(started, state.doing)
    message = f"{state.doing}: {_gigabytes(state.done)} of {_gigabytes(state.total)}"
    if rate > 0:
        left = round((state.total - state.done) / rate)
        message += f", {rate / 1e6:.1f} MB/s, {_duration(left)} left"
    return _event(started, message, state.done, state.total)


def _event(started: float, message: str, step: int = 0, total: int = 0) -> ProgressEvent:
    return ProgressEvent(
        stage=Stage.DOWNLOAD,
        step=step,
        total=total,
        seconds=time.monotonic() - started,
        message=message,
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

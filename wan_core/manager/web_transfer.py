"""Receives one file from any public server over https, resumably. Imports no torch.

Nothing that identifies a person is sent: no login, no cookie. Each redirect is judged like the first address.
What has arrived grows as ``file.part``, beside it ``file.json`` with what the server calls this version, so
that a later try goes on only with the same one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from wan_core.manager.public_hosts import PublicConnection
from wan_core.manager.transfer import DISK_RESERVE, MAX_TRIES, RETRY_SECONDS, Stopped, TransferState
from wan_core.schema import DownloadError

MOST_REDIRECTS = 6
_READ_BYTES = 2**18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_STATUS = {
    401: "asks for a login; copy the file to the LoRA folder yourself, or give an address that holds a key",
    403: "refuses it; copy the file to the LoRA folder yourself, or give an address that holds a key",
    404: "has no such file; check the address",
    410: "has no such file any more; check the address",
    429: "takes no more requests for now; start again in some minutes, what has arrived is kept",
}
_NAMED = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)", re.IGNORECASE)
_HEADER = 8
"""Bytes of a safetensors file that tell how long its header is; a brace follows."""

_LONGEST_HEADER = 100 * 2**20


class _Passing(Exception):
    """Worth another try."""


class WebTransfer:
    """Receives an address into a folder; see ``wan_core.manager.download.follow``.

    Args:
        url: what is wanted, with https.
        shown: what it is called in sentences, without any key.
        folder: where it grows.
        most: bytes at most.
    """

    def __init__(self, url: str, shown: str, folder: Path, most: int) -> None:
        self.name = ""
        self._url, self._shown, self._folder, self._most = url, shown, folder, most
        self._stop, self._guard = threading.Event(), threading.Lock()
        self._connection: PublicConnection | None = None
        self._state = TransferState(f"Asking {urlsplit(url).hostname}", 0, 0, 0)

    @property
    def file(self) -> Path:
        """Where the whole file is once ``run`` has returned."""
        return self._folder / "file.part"

    def state(self) -> TransferState:
        return self._state

    def stop(self) -> None:
        """Once this returns, the thread writes nothing more; it ends soon, however silent the network."""
        with self._guard:
            self._stop.set()
            wire = self._connection.wire if self._connection else None
            if wire:
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Receive everything.

        Raises:
            DownloadError: one sentence; what has arrived is kept if it can be of use.
            Stopped: ``stop`` was called.
        """
        tries, received = 0, 0
        while True:
            self._check_stop()
            try:
                return self._receive()
            except _Passing as error:
                self._check_stop()
                tries = 0 if self._state.received > received else tries + 1
                received = self._state.received
                is_unreachable = isinstance(error.__cause__, OSError) and not received
                if tries >= MAX_TRIES or is_unreachable:
                    raise DownloadError(f"{self._shown} could not be downloaded: {error}.") from error
                if self._stop.wait(RETRY_SECONDS * 2**tries):
                    raise Stopped from error
            except OSError as error:
                self._check_stop()
                raise DownloadError(
                    f"{self._shown} cannot be written to {self._folder} ({error.strerror or error}); free "
                    "some space and start again."
                ) from error

    def _receive(self) -> None:
        """One try, from where the last one ended."""
        kept, version = self._kept()
        connection, answer = self._answer(kept, version)
        with self._lent(connection):
            if kept and answer.status != 206:
                kept = 0
            size = self._size(answer, kept)
            self._make_room(size, kept, answer)
            self._state = TransferState(f"Downloading {self.name}", kept, size, self._state.received)
            with self.file.open("ab" if kept else "wb", buffering=0) as out:
                self._copy(answer, out, size)
                os.fsync(out.fileno())

    def _copy(self, answer: HTTPResponse, out: object, size: int) -> None:
        state = self._state
        done, start = state.done, b""
        while done < size:
            try:
                chunk = answer.read1(_READ_BYTES)
            except (OSError, HTTPException) as error:
                raise _broken(error) from error
            if not chunk:
                raise _Passing("the answer ends early; what has arrived is kept, start again")
            if done < _HEADER + 1:
                start += chunk[: _HEADER + 1]
                self._check_start(start)
            with self._guard:
                self._check_stop()
                rest = memoryview(chunk)
                while rest:
                    rest = rest[out.write(rest) :]
            done += len(chunk)
            received = self._state.received + len(chunk)
            self._state = TransferState(state.doing, done, size, received)
        if done > size:
            self.file.unlink()
            raise DownloadError(
                f"{self._shown} sends more than it says; start again, or use another address."
            )

    def _check_start(self, start: bytes) -> None:
        """Refuse at once what is no safetensors file, such as the page of a login."""
        if len(start) <= _HEADER:
            return
        length = int.from_bytes(start[:_HEADER], "little")
        if start[_HEADER : _HEADER + 1] != b"{" or length > _LONGEST_HEADER:
            raise DownloadError(
                f"{self._shown} is no safetensors file, perhaps the page of a login; check the address, or "
                "copy the file to the LoRA folder yourself."
            )

    def _size(self, answer: HTTPResponse, kept: int) -> int:
        """Bytes of the whole file."""
        length = answer.getheader("Content-Length", "")
        if not length.isdecimal() or answer.getheader("Content-Encoding", "identity") != "identity":
            raise DownloadError(f"{self._shown} does not say how large it is; use another address.")
        size = int(length) + kept
        if (
            answer.status == 206
            and answer.getheader("Content-Range", "") != f"bytes {kept}-{size - 1}/{size}"
        ):
            self.file.unlink(missing_ok=True)
            raise _Passing("the server goes on at another place; start again")
        if size > self._most:
            raise DownloadError(
                f"{self._shown} has {size / 1e9:.1f} GB, and a LoRA has at most {self._most / 1e9:.1f} GB; "
                "whole models go into a folder of models."
            )
        return size

    def _make_room(self, size: int, kept: int, answer: HTTPResponse) -> None:
        """Begin a new file if nothing is kept; refuse what would fill the disk."""
        free = shutil.disk_usage(self._folder).free
        if (size - kept) * (1 + DISK_RESERVE) > free:
            raise DownloadError(
                f"{self._shown}: {size / 1e9:.2f} GB are to be downloaded and a tenth more must stay free, "
                f"but {self._folder} has only {free / 1e9:.2f} GB; free some space."
            )
        if not kept:
            told = {"version": _version(answer), "size": size}
            (self._folder / "file.json").write_text(json.dumps(told), encoding="utf-8")

    def _kept(self) -> tuple[int, str]:
        """Bytes of an earlier try, and the version that they are of."""
        try:
            told = json.loads((self._folder / "file.json").read_bytes())
            version, size, here = told["version"], told["size"], self.file.stat().st_size
        except (OSError, ValueError, TypeError, KeyError):
            return 0, ""
        return (here, version) if isinstance(version, str) and version and 0 < here < size else (0, "")

    # -- asking ---------------------------------------------------------------------------------------

    def _answer(self, kept: int, version: str) -> tuple[PublicConnection, HTTPResponse]:
        """The answer that has the file, behind all redirects."""
        url, headers = self._url, {"User-Agent": "wan-studio", "Accept-Encoding": "identity"}
        if kept:
            headers |= {"Range": f"bytes={kept}-", "If-Range": version}
        for _ in range(MOST_REDIRECTS):
            connection, target = self._connected(url)
            with self._lent(connection, only_if_it_fails=True):
                try:
                    connection.request("GET", target, headers=headers)
                    answer = connection.getresponse()
                except (OSError, HTTPException) as error:
                    raise _broken(error) from error
                next_one = answer.getheader("Location") if answer.status in _REDIRECTS else None
                if next_one is None:
                    self._check(answer)
                    self.name = _name(answer, url, self._url)
                    return connection, answer
            connection.close()
            url = urljoin(url, next_one)
        raise DownloadError(f"{self._shown} sends on more than {MOST_REDIRECTS} times; use another address.")

    @contextmanager
    def _lent(self, connection: PublicConnection, only_if_it_fails: bool = False) -> Iterator[None]:
        """Closes a connection, at the end or if the block fails."""
        failed = True
        try:
            yield
            failed = False
        finally:
            if failed or not only_if_it_fails:
                with self._guard:
                    self._connection = None
                connection.close()

    def _connected(self, url: str) -> tuple[PublicConnection, str]:
        """A connection to where an address leads, and what to ask for there."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode(), parts.port or 443
        except (ValueError, UnicodeError) as error:
            raise DownloadError(f"{self._shown} leads to no address; check it.") from error
        if parts.scheme != "https" or not host or parts.username or parts.password:
            raise DownloadError(
                f"{self._shown} leads to {host or 'nowhere'} without https, or with a login; use another one."
            )
        connection = PublicConnection(host, port)
        with self._guard:
            self._check_stop()
            self._connection = connection
        target = parts.path or "/"
        return connection, _quoted(f"{target}?{parts.query}" if parts.query else target)

    def _check(self, answer: HTTPResponse) -> None:
        if answer.status in (200, 206):
            return
        if answer.status == 416:
            self.file.unlink(missing_ok=True)
            raise _Passing("the server has a shorter file now; start again")
        words = _STATUS.get(answer.status, "is out of order; start again later")
        if answer.status in _TRANSIENT and answer.status != 429:
            raise _Passing(f"the server {words}")
        raise DownloadError(f"{self._shown} could not be downloaded: the server {words} ({answer.status}).")

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _broken(error: Exception) -> _Passing:
    return _Passing(
        f"the connection failed ({type(error).__name__}); check the address and the network, then start again"
    )


def _version(answer: HTTPResponse) -> str:
    """What the server calls this version of the file, if a part of it can be asked for by that."""
    etag = answer.getheader("ETag", "")
    return etag if etag.startswith('"') else answer.getheader("Last-Modified", "")


def _name(answer: HTTPResponse, *urls: str) -> str:
    """What the file is called: by the server, else at the end of its address."""
    told = _NAMED.search(answer.getheader("Content-Disposition", ""))
    names = [told[1] if told else "", *(urlsplit(url).path.rpartition("/")[2] for url in urls)]
    named = [unquote(name).replace("\\", "/").rpartition("/")[2].strip() for name in names]
    return next(
        (name for name in named if name.lower().endswith(".safetensors")), next(filter(None, named), "")
    )


def _quoted(target: str) -> str:
    """A path as it may stand in a request."""
    return "".join(
        char if "!" <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode()) for char in target
    )

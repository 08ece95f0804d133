"""ffmpeg as a reader of hostile files: pinned, bounded and killed when it takes too long.

The demuxer is the one that the file's first bytes call for, it alone may run, only files may be opened, and
only these decoders may run, so a playlist under a video's name opens nothing. No frame above
``MAX_FRAME_PIXELS`` is decoded. The process has limits of memory and work, and writes no file.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import imageio_ffmpeg

from wan_core.confined.limits import bare_environment, limited
from wan_core.media.sniff import KNOWN_FORMATS, sniff
from wan_core.schema import MediaError

MAX_FRAME_PIXELS = 2**24  # 4096 x 4096
MAX_PACKETS = 500_000  # two hours at 60 frames per second

_DECODERS = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mpeg2video,mpeg1video,h263,mjpeg,prores,dnxhd,ffv1,png,gif,rawvideo"
)
_DISCARDED = 4  # flag of a packet that is decoded but not shown: what an edit list cuts away
_NO_TIME = -(2**63)
_TICK_LINE = re.compile(r"#tb 0: *(\d{1,18})/([1-9]\d{0,17})")
_PACKET_LINE = re.compile(
    r" *\d+, *(-?\d{1,20}), *(-?\d{1,20}), *(-?\d{1,20}), *\d+, *0x[0-9a-f]+"
    r"(?:, *F=0x([0-9A-Fa-f]{1,8}))?(?:, .*)?"
)
_LONGEST_LISTING = 2**27  # bytes
_DEMUX_SECONDS = 60.0
_STALL_SECONDS = 20.0  # for one frame, or as many packets as fit into _LISTED bytes of the listing
_LISTED = 2**16
_MEMORY = 2**32  # bytes of addresses; a frame of 4096 x 4096 takes half of it
_LARGEST_BLOCK = 2**29  # bytes that are asked for at once
_THREADS = 4
_WRITTEN = 2**20  # bytes of its log, the only file that it writes


def reading(path: Path, decoders: str = _DECODERS) -> list[str]:
    """The beginning of ffmpeg's arguments for a hostile file: all that may be done with it, up to where.

    Raises:
        MediaError: the file is no video.
    """
    only = demuxer(path)
    return [
        *("-hide_banner", "-nostats", "-nostdin", "-max_alloc", str(_LARGEST_BLOCK)),
        *("-filter_threads", str(_THREADS), "-threads", str(_THREADS), "-max_pixels", str(MAX_FRAME_PIXELS)),
        *("-f", only, "-format_whitelist", only, "-protocol_whitelist", "file", "-codec_whitelist", decoders),
    ]


def confined(arguments: list[str], seconds: float, written: int = _WRITTEN) -> list[str]:
    """The command that runs ffmpeg with ``arguments`` on a hostile file, for so long and no longer."""
    work = int(_THREADS * max(seconds, 1.0)) + 1
    return limited([imageio_ffmpeg.get_ffmpeg_exe(), *arguments], _MEMORY, work, written)


class Decoder:
    """A running ffmpeg and what it writes; it may keep us waiting for ``patience`` seconds in all, and for 20
    at a time.

    Time that the caller spends between reads does not count. ``before`` and ``after`` are arguments of
    ffmpeg for the file and for what becomes of it; what it says goes to ``log``.

    Raises:
        MediaError: the file is no video.
    """

    def __init__(
        self,
        path: Path,
        before: list[str],
        after: list[str],
        patience: float,
        log: BinaryIO | int = subprocess.DEVNULL,
    ) -> None:
        self._name = path.name
        self._patience = patience
        self._late = False
        self._process = subprocess.Popen(
            confined(
                [*reading(path), *before, "-i", f"file:{path.resolve()}", "-map", "0:V:0", *after], patience
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=bare_environment(),
            start_new_session=True,  # Ctrl-C is for us to act on
        )

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.stdout.close()
        self._process.wait()

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end.

        Raises:
            MediaError: the patience has run out.
        """
        begun = time.monotonic()
        watch = threading.Timer(max(min(self._patience, _STALL_SECONDS), 0.0), self._give_up)
        watch.daemon = True
        watch.start()
        try:
            data = self._process.stdout.read(size)
        finally:
            watch.cancel()
            self._patience -= time.monotonic() - begun
        if self._late:
            raise MediaError(f"{self._name} takes too long to decode; cut it or convert it to H.264 MP4.")
        return data

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()


@dataclass(frozen=True)
class Packets:
    """The coded pictures of a video: how many, from the first to the end of the last, and how often."""

    count: int
    seconds: float
    rate: Fraction


def list_packets(path: Path) -> Packets:
    """Count the coded pictures of a video without decoding any.

    Raises:
        MediaError: there are none, as in a file with sound only, or more than ``MAX_PACKETS``.
    """
    text, lines = bytearray(), 0
    with Decoder(path, [], ["-c", "copy", "-f", "framecrc", "-"], _DEMUX_SECONDS) as listing:
        while chunk := listing.read(_LISTED):
            text += chunk
            lines += chunk.count(b"\n")
            if lines > MAX_PACKETS or len(text) > _LONGEST_LISTING:
                raise MediaError(f"{path.name} has more than {MAX_PACKETS} frames; cut it.")
    tick, times = _parse_listing(text.decode("ascii", errors="replace"))
    if not times:
        raise MediaError(f"{path.name} holds no video that can be read; use {KNOWN_FORMATS}.")
    first, last = min(times), max(times)
    span = (last[0] - first[0]) * tick
    shown_last = last[1] * tick
    if span <= 0:  # one frame, or times that say nothing
        span, shown_last = Fraction(0), max(shown_last, Fraction(1, 1000))
        return Packets(len(times), float(shown_last), 1 / shown_last)
    rate = (len(times) - 1) / span
    return Packets(len(times), float(span + (shown_last if shown_last > 0 else 1 / rate)), rate)


def _parse_listing(text: str) -> tuple[Fraction, list[tuple[int, int]]]:
    """Seconds per tick, and (time, duration) in ticks of each packet that is shown.

    What is no line of a listing is left out, such as the last one of an ffmpeg that was killed.
    """
    tick, times = Fraction(0), []
    for line in text.splitlines():
        if found := _TICK_LINE.fullmatch(line):
            tick = Fraction(int(found[1]), int(found[2]))
        elif found := _PACKET_LINE.fullmatch(line):
            decoded, shown, duration = map(int, found.group(1, 2, 3))
            if not found[4] or not int(found[4], 16) & _DISCARDED:
                times.append((decoded if shown == _NO_TIME else shown, duration))
    return tick, times


def demuxer(path: Path) -> str:
    """The demuxer for a file's first bytes.

    Raises:
        MediaError: the file is no video.
    """
    found = sniff(path)
    if found.kind != "video":
        what = "a picture" if found.kind == "image" else "a text"
        raise MediaError(f"{path.name} is {what}; a video is needed.")
    return found.reader

"""What the bundled ffmpeg can code here: formats, codecs, how quality is said to each, and a real trial.

A codec counts as there when ffmpeg lists its encoder; one of a graphics card only after it has coded a
few frames.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache

import imageio_ffmpeg

from wan_core.confined.environment import without_secrets
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.output import OutputOptions

_PROBE_SECONDS = 20.0
_MP4 = ("mp4",)
_BOTH = ("mp4", "webm")


@dataclass(frozen=True)
class Encoder:
    """A codec of ours: ffmpeg's encoder, the formats that hold it, and what it is called.

    ``quality`` has ``{q}`` where ``crf * scale`` goes, ``lossless`` is said instead at 0. The scales make
    the same number look about the same everywhere.
    """

    title: str
    name: str
    formats: tuple[str, ...]
    quality: tuple[str, ...]
    lossless: tuple[str, ...]
    scale: float = 1.0
    on_card: bool = False

    def arguments(self, crf: int) -> list[str]:
        """ffmpeg's arguments for this codec at a quality of 0 to 40."""
        chosen = self.quality if crf else self.lossless
        return ["-c:v", self.name, *(word.format(q=max(round(crf * self.scale), 1)) for word in chosen)]


_NVENC = ("-preset", "p5", "-rc", "constqp", "-qp", "{q}")
_NVENC_LOSSLESS = ("-preset", "p5", "-tune", "lossless")
_X265 = ("-preset", "medium", "-tag:v", "hvc1")

ENCODERS = {
    "h264": Encoder("H.264", "libx264", _MP4, ("-crf", "{q}"), ("-crf", "0")),
    "hevc": Encoder(
        "HEVC",
        "libx265",
        _MP4,
        ("-crf", "{q}", "-x265-params", "log-level=error", *_X265),
        ("-x265-params", "log-level=error:lossless=1", *_X265),
        1.15,
    ),
    "vp9": Encoder(
        "VP9",
        "libvpx-vp9",
        _BOTH,
        ("-crf", "{q}", "-b:v", "0", "-cpu-used", "3", "-row-mt", "1"),
        ("-lossless", "1", "-cpu-used", "3", "-row-mt", "1"),
        1.35,
    ),
    "av1": Encoder(
        "AV1",
        "libsvtav1",
        _BOTH,
        ("-crf", "{q}", "-preset", "7"),
        ("-preset", "7", "-svtav1-params", "lossless=1"),
        1.45,
    ),
    "h264-nvenc": Encoder("H.264 on NVIDIA", "h264_nvenc", _MP4, _NVENC, _NVENC_LOSSLESS, on_card=True),
    "hevc-nvenc": Encoder(
        "HEVC on NVIDIA",
        "hevc_nvenc",
        _MP4,
        (*_NVENC, "-tag:v", "hvc1"),
        (*_NVENC_LOSSLESS, "-tag:v", "hvc1"),
        1.1,
        on_card=True,
    ),
    "av1-nvenc": Encoder(
        "AV1 on NVIDIA",
        "av1_nvenc",
        _BOTH,
        _NVENC,
        ("-preset", "p5", "-rc", "constqp", "-qp", "1"),
        4.5,
        True,
    ),
}

_AUTO = {"mp4": "h264", "webm": "vp9"}
_NEEDED = {"gif": "gif", "webp": "libwebp_anim"}
"""Encoders of the formats that have no choice of codec."""


def encoder_of(options: OutputOptions) -> Encoder:
    """The encoder of an MP4 or WebM."""
    codec = options.codec if options.codec != "auto" else _AUTO[options.video_format]
    return ENCODERS[codec]


def check_output(request: GenerationRequest) -> None:
    """``check_coding`` of a request that makes a video, before anything is made."""
    if request.task != "t2i":
        check_coding(request)


def check_coding(options: OutputOptions) -> None:
    """Refuse a format or codec that this machine cannot write.

    Raises:
        InvalidRequest: naming the codecs that can be used instead.
    """
    format = options.video_format
    if complaint := unavailable_format(format):
        raise InvalidRequest("video_format", complaint, "Choose MP4.")
    if format not in _AUTO:
        return
    encoder = encoder_of(options)
    codec = options.codec if options.codec != "auto" else _AUTO[format]
    complaint = unavailable(codec)
    if format not in encoder.formats:
        complaint = f"{encoder.title} does not go into a {format.upper()} file"
    if complaint:
        fitting = [name for name, row in ENCODERS.items() if format in row.formats and not unavailable(name)]
        raise InvalidRequest("codec", complaint, f"Choose one of auto, {', '.join(fitting)}.")


def unavailable(codec: str) -> str:
    """Why a codec cannot be used on this machine, in a few words; empty if it can."""
    if codec == "auto":
        return ""
    encoder = ENCODERS[codec]
    if encoder.name not in listed_encoders():
        return f"the ffmpeg of this machine has no {encoder.name}"
    if encoder.on_card and (said := _trial(encoder.name)):
        return f"{encoder.title} does not work on this machine ({said})"
    return ""


def unavailable_format(format: str) -> str:
    """Why a format cannot be written on this machine; empty if it can."""
    needed = _NEEDED.get(format)
    if needed and needed not in listed_encoders():
        return f"the ffmpeg of this machine has no {needed}"
    return ""


@cache
def listed_encoders() -> frozenset[str]:
    """The names of all encoders that are built into ffmpeg; asked once."""
    said = _ask("-encoders").stdout.decode(errors="replace")
    rows = (line.split() for line in said.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1 and len(row[0]) == 6)


@cache
def _trial(name: str) -> str:
    """Code a few frames with an encoder; what went wrong, or nothing. Tried once."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x192:rate=16", "-frames:v", "4")
    done = _ask("-loglevel", "error", *source, "-pix_fmt", "yuv420p", "-c:v", name, "-f", "null", "-")
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode(errors="replace").splitlines() or ["it ends with an error"]
    return lines[0].rpartition("] ")[2].strip(". ")[:120]


def _ask(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *arguments]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=without_secrets(),
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, b"", str(error).encode())

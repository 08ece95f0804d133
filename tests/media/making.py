"""Small real files, made with the ffmpeg that the studio uses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

BALL = "testsrc2=size=64x48:rate=10:duration=1,format=gbrp"  # ten frames, all different


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def make_video(path: Path, *options: str, source: str = BALL) -> Path:
    """``source`` of lavfi, coded by ``options`` to ``path``."""
    ffmpeg("-f", "lavfi", "-i", source, *options, path)
    return path


def bars(width: int, height: int, frames: int, rate: int) -> str:
    """A source whose frame k is grey of brightness 20 + 20 k."""
    return (
        f"color=black:size={width}x{height}:rate={rate}:duration={frames / rate},"
        "format=gray,geq=lum='20+20*N',format=yuv444p"
    )


def told(path: Path) -> str:
    """What ffmpeg says of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, check=False).stderr.decode(errors="replace")

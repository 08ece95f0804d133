"""The sound of a video as plain samples: bounded in length, by a decoder that is killed in time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wan_core.confined.limits import bare_environment
from wan_core.media.atomic import partial_file
from wan_core.media.ffmpeg import confined, reading

_DECODERS = "aac,mp3,mp3float,opus,libopus,vorbis,flac,alac,ac3,eac3,mp2,pcm_s16le,pcm_s24le,pcm_f32le,pcm_u8"
_SECONDS = 20.0
_RATE, _SAMPLE_BYTES = 48_000, 4
_ROOM = 2**20  # bytes beyond the sound itself
_WAV_HEADER = 100  # bytes; a file of no more holds no sound


@contextmanager
def sound_of(path: Path, start: float, seconds: float, folder: Path) -> Iterator[Path | None]:
    """Lend a WAV (48 kHz, stereo) of a part of a video's sound, in ``folder``; None where it has none.

    Sound that cannot be decoded is none: a video is worth more without it than not at all.

    Raises:
        MediaError: the file is no video.
        OSError: the folder cannot be made.
    """
    with partial_file(folder, ".wav") as target:
        arguments = [
            *("-loglevel", "error", *reading(path, _DECODERS)),
            *("-ss", f"{start:.6f}", "-t", f"{seconds:.6f}", "-i", f"file:{path.resolve()}"),
            *("-map", "0:a:0", "-c:a", "pcm_s16le", "-ar", str(_RATE), "-ac", "2", "-f", "wav"),
            *("-y", f"file:{target}"),
        ]
        written = int(max(seconds, 0.0) * _RATE * _SAMPLE_BYTES) + _ROOM
        is_there = _ran(confined(arguments, _SECONDS, written)) and target.stat().st_size > _WAV_HEADER
        yield target if is_there else None


def _ran(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=bare_environment(),
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0

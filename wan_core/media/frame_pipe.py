"""A running ffmpeg that is handed frames while a thread reads what it says: neither waits for the other."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import IO, Literal

import imageio_ffmpeg
import numpy as np

from wan_core.confined.environment import without_secrets

Frames = np.ndarray


class FramePipe:
    """A process of ffmpeg.

    Args:
        arguments: what it is told; frames come as ``pipe:0``.
        end: what of it is read; the other end is thrown away.
        listen: reads that end to its end, in a thread of its own.
    """

    def __init__(
        self, arguments: list[str], end: Literal["stdout", "stderr"], listen: Callable[[IO[bytes]], None]
    ) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *arguments]
        ends = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, end: subprocess.PIPE}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            **ends,
            env=without_secrets(),
            start_new_session=True,  # Ctrl-C is for us to act on
        )
        self._heard = getattr(self._process, end)
        self._listener = threading.Thread(target=listen, args=(self._heard,), daemon=True)
        self._listener.start()

    def write(self, frames: Frames) -> None:
        """Hand over frames (T, H, W, 3) uint8; blocks while ffmpeg is behind.

        Raises:
            BrokenPipeError: it has ended.
            ValueError: it was told that no more come.
        """
        self._process.stdin.write(np.ascontiguousarray(frames).data)

    def close(self) -> None:
        """No more frames come."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            self._process.wait()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def wait(self) -> int:
        """Its return code, once it has ended and all that it said is read."""
        code = self._process.wait()
        self._listener.join()
        self._heard.close()
        return code

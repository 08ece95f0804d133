"""Work in a fork of this process, which may die of it."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable

from wan_core.schema import WanStudioError

Say = Callable[[str, str], None]
"""Tells the parent something: its kind and its words."""


def in_child(work: Callable[[Say], object], seconds: float) -> list[tuple[str, str]]:
    """Run ``work`` in a fork; returns what it said, also if it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:

        def say(kind: str, words: str) -> None:
            os.write(writing, json.dumps([kind, words]).encode() + b"\n")

        try:
            work(say)
        except Exception as error:  # noqa: BLE001  the edge: it is what is looked for
            sentence = isinstance(error, WanStudioError | OSError)
            say("refused" if sentence else "unexpected", f"{error!r} {traceback.format_exc()[-600:]}")
        os._exit(0)
    os.close(writing)
    deadline, said = time.monotonic() + seconds, b""
    while select.select([reading], [], [], max(deadline - time.monotonic(), 0))[0]:
        if not (piece := os.read(reading, 65536)):
            break
        said += piece
    else:
        said += json.dumps(["unexpected", f"it took longer than {seconds} seconds"]).encode() + b"\n"
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    os.waitpid(child, 0)
    return [tuple(json.loads(line)) for line in said.splitlines(True) if line.endswith(b"]\n")]

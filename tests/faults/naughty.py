"""A helper process that does to its limits what a hostile file may make a decoder do."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from wan_core.confined.serving import serve

MEMORY = 100 * 2**20


def answer(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return _DEEDS[question["do"]](question) or {}, question.get("echo", "").encode()


def _eat(question: dict[str, Any]) -> None:
    bytearray(2 * MEMORY)


def _work(question: dict[str, Any]) -> None:
    while True:
        pass


def _write(question: dict[str, Any]) -> dict[str, Any]:
    try:
        Path(question["path"]).write_bytes(b"x" * 100)
    except OSError as error:
        return {"refused": str(error.errno)}
    return {"written": True}


_DEEDS = {
    "nothing": lambda question: {"pid": os.getpid()},
    "eat": _eat,
    "work": _work,
    "write": _write,
    "sleep": lambda question: time.sleep(60),
    "crash": lambda question: ctypes.string_at(0),
    "leave": lambda question: os._exit(0),
    "talk": lambda question: print("not an answer", flush=True),
    "environment": lambda question: dict(os.environ),
}

if __name__ == "__main__":
    serve(answer, MEMORY, cpu_seconds=1)

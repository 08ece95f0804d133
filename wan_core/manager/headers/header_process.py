"""Reads headers of GGUF and .pth files in a process of its own, under limits of memory and time.

Both formats are small programs rather than tables: what they cost to read is the file's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from wan_core.confined.serving import serve
from wan_core.manager.headers.entry import Header
from wan_core.manager.headers.gguf import read_gguf_header
from wan_core.manager.headers.pth import read_pth_header
from wan_core.schema import WeightsError

MEMORY = 200 * 2**20  # bytes
CPU_SECONDS = 2

READERS: dict[str, Callable[[Path], Header]] = {"gguf": read_gguf_header, "pth": read_pth_header}


def answer(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The header of the file at ``path``, which is of the ``format``; or why it is ``refused``."""
    try:
        header = READERS[question["format"]](Path(question["path"]))
    except WeightsError as error:
        return {"refused": str(error)}, b""
    tensors = {name: astuple(entry) for name, entry in header.tensors.items()}
    return {"tensors": tensors, "metadata": dict(header.metadata)}, b""


if __name__ == "__main__":
    serve(answer, MEMORY, CPU_SECONDS)

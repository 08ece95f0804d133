"""What a checkpoint file holds, from its header alone: names, types, shapes. Imports no torch.

A file is never trusted: lengths are checked against the file before anything is allocated, a pickle is read
without building what it names, and what a file could keep busy is read in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

from wan_core.manager.headers.apart import read_apart
from wan_core.manager.headers.entry import AGAIN, Format, Header, Shape, TensorEntry
from wan_core.manager.headers.safetensors import read_safetensors_header
from wan_core.schema import WeightsError

__all__ = ["Format", "Header", "Shape", "TensorEntry", "read_header", "sniff"]


def read_header(path: Path) -> Header:
    """The names, types and shapes of a checkpoint file's tensors.

    Raises:
        WeightsError: the file is missing, cut short, no checkpoint, or not to be trusted.
    """
    format = sniff(path)
    return read_safetensors_header(path) if format == "safetensors" else read_apart(path, format)


def sniff(path: Path) -> Format:
    """Tells the formats apart by content.

    Raises:
        WeightsError: it is none of them.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; download the model again.") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    text = start.lstrip().lower()
    if not start:
        raise WeightsError(f"{path} is empty; {AGAIN}.")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a Git LFS pointer, not the weights it stands for; run `git lfs pull` in its folder, "
            f"or {AGAIN}."
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WeightsError(f"{path} is a web page that was saved instead of the weights; {AGAIN}.")
    if start.startswith(b"PK\x03\x04"):
        if path.suffix.lower() == ".safetensors":  # torch.load goes by the name
            raise WeightsError(f"{path} is a PyTorch checkpoint under a wrong name; use the official file.")
        return "pth"
    if start.startswith(b"GGUF"):
        return "gguf"
    if start[8:9] == b"{":
        return "safetensors"
    if start.startswith(b"\x80"):
        raise WeightsError(
            f"{path} is a .pth in the format before PyTorch 1.6, which cannot be memory-mapped; "
            "use the official file or a .safetensors file."
        )
    raise WeightsError(f"{path} is neither a safetensors, a GGUF nor a PyTorch file; {AGAIN}.")

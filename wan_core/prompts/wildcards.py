"""Wildcard files: texts with an option in each line; a prompt names one as ``__name__``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from wan_core.schema import InvalidRequest

NAME = r"[^\W_](?:[\w/-]{0,60}?[^\W_])?"
"""What a name may be: letters, digits, ``-``, ``_``, and ``/`` between folders; it leads nowhere else."""

_MAX_BYTES = 4 * 2**20
_MOST, _DEEPEST = 500, 3


def read_options(folder: Path, name: str, field: str = "prompt") -> list[str]:
    """The lines of a wildcard file; empty ones and those that begin with ``#`` are left out.

    Raises:
        InvalidRequest: there is no such file, it cannot be read, or it holds nothing.
    """
    path = folder / f"{name}.txt"
    try:
        if not path.resolve().is_relative_to(folder.resolve()) or path.stat().st_size > _MAX_BYTES:
            raise OSError("it leads elsewhere, or is too large")
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError as error:
        raise InvalidRequest(
            field,
            f"there is no wildcard file for __{name}__",
            f"Put {name}.txt into the folder {folder.name} of the studio, with an option in each line.",
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            field, f"the wildcard file {name}.txt cannot be read", "Save it again as UTF-8."
        ) from error
    options = [line for line in lines if line and not line.startswith("#")]
    if not options:
        raise InvalidRequest(field, f"the wildcard file {name}.txt is empty", "Write an option in each line.")
    return options


def list_wildcards(folder: Path) -> list[str]:
    """The names of all wildcard files, in the order of the alphabet."""
    names = []
    for place, folders, files in os.walk(folder):
        within = Path(place).relative_to(folder)
        if len(within.parts) >= _DEEPEST:
            folders.clear()
        names += [(within / file).with_suffix("").as_posix() for file in files if file.endswith(".txt")]
    return sorted(name for name in names if re.fullmatch(NAME, name))[:_MOST]

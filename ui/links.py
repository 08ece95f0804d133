"""Addresses of files that the page may show."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import quote

NAMING: ContextVar[Callable[[Path], str]] = ContextVar("naming", default=str)
"""How a served file is called towards the one who is being answered: by its path, or, where strangers ask,
by a name that is good for them alone, see ``ui.serving.file_names``."""

PLACING: ContextVar[Callable[[str], Path | None]] = ContextVar("placing", default=Path)
"""The other way round: the file that somebody calls so; None if there is none that is theirs."""


def name_of(path: Path) -> str:
    """What a served file is called towards the one who is being answered."""
    return NAMING.get()(path)


def link(path: Path | None) -> str | None:
    """The address of a served file, renewed whenever its bytes change; None if it is not there."""
    if path is None or not path.is_file():
        return None
    return f"gradio_api/file={quote(name_of(path))}?v={path.stat().st_mtime_ns}"

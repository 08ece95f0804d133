"""Addresses of files that the page may show."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote


def link(path: Path | None) -> str | None:
    """The address of a served file, renewed whenever its bytes change; None if it is not there."""
    if path is None or not path.is_file():
        return None
    return f"gradio_api/file={quote(str(path))}?v={path.stat().st_mtime_ns}"

"""Where the page's own files lie: scripts, styles, icons, examples."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1] / "assets"


def read_scripts(*names: str) -> str:
    """The text of scripts of ``assets/js``, one after the other."""
    return "\n".join((ASSETS / "js" / name).read_text(encoding="utf-8") for name in names)

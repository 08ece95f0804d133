"""Where ComfyUI keeps models on this machine."""

from __future__ import annotations

import os
from pathlib import Path

_USUAL = ("ComfyUI", "comfy/ComfyUI", "Documents/ComfyUI")


def comfyui_folders() -> list[Path]:
    """``$COMFYUI_PATH``, else where ComfyUI is likely to be; they need not be there."""
    told = os.environ.get("COMFYUI_PATH")
    return [Path(told).expanduser()] if told else [Path.home() / name for name in _USUAL]

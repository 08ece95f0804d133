"""A mask painted on the page -> a picture of it: white where something is made anew."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def painted(drawn: dict[str, Any] | None) -> np.ndarray | None:
    """What the editor holds -> a mask (H, W) of 0 and 255, or None where nothing is painted."""
    layers = [np.asarray(layer.convert("RGBA"))[..., 3] for layer in (drawn or {}).get("layers") or ()]
    if not layers:
        return None
    mask = np.where(np.max(layers, axis=0) > 127, 255, 0).astype(np.uint8)
    return mask if mask.any() else None


def write(mask: np.ndarray, folder: Path) -> Path:
    """Put a mask into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"mask-{uuid.uuid4().hex}.png"
    Image.fromarray(mask).save(path)
    return path

"""A mask painted on the page: white where something is made anew."""

from __future__ import annotations

from typing import Any

import numpy as np


def painted(drawn: dict[str, Any] | None) -> np.ndarray | None:
    """What the editor holds -> a mask (H, W) of 0 and 255, or None where nothing is painted."""
    layers = [np.asarray(layer.convert("RGBA"))[..., 3] for layer in (drawn or {}).get("layers") or ()]
    if not layers:
        return None
    mask = np.where(np.max(layers, axis=0) > 127, 255, 0).astype(np.uint8)
    return mask if mask.any() else None

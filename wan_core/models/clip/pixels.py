"""Pictures as the CLIP image encoder sees them (spec 5)."""

# n pictures, H W pixels

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wan_core.models.clip.config import CLIPConfig

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_pixels(pictures: Tensor, size: int = CLIPConfig.image_size) -> Tensor:
    """Resize pictures to a square, whatever their aspect, and normalise their channels.

    Bicubic without antialias and without clamping, as the models were trained.

    Args:
        pictures: (n, 3, H, W) in [-1, 1].
        size: the ``image_size`` of the encoder.

    Returns:
        (n, 3, size, size), float32.
    """
    square = F.interpolate(pictures.float(), size=(size, size), mode="bicubic", align_corners=False)
    mean = torch.tensor(_MEAN, device=square.device).view(3, 1, 1)
    std = torch.tensor(_STD, device=square.device).view(3, 1, 1)
    return (square * 0.5 + 0.5 - mean) / std

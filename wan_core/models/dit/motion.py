"""How much is to move: a small model beside the DiT (diffsynth 2). Attribute names are the file's keys."""

# B batch, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.sinusoid import sinusoid

_STEPS_PER_BUCKET = 10  # buckets 0 to 100 are told apart as timesteps 0 to 1000 are


class MotionController(nn.Module):
    """Turns a motion bucket into what is added to the modulation of a DiT's blocks.

    It runs once for a clip and in float32, its weights included, as the modulation does.

    Args:
        config: sizes of the model.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Sequential(
            nn.Linear(config.freq_dim, config.dim),
            nn.SiLU(),
            nn.Linear(config.dim, config.dim),
            nn.SiLU(),
            nn.Linear(config.dim, 6 * config.dim),
        )

    @staticmethod
    def keep_in_fp32(name: str) -> bool:
        """Whether the parameter ``name`` stays float32 when models are cast to 16 bits: all do."""
        return True

    def forward(self, motion_bucket: Tensor) -> Tensor:
        """(B,), from 0, little, to 100, much -> (B, 6, D), float32: ``DiTConditioning.motion``."""
        with torch.autocast(motion_bucket.device.type, enabled=False):
            waves = sinusoid(motion_bucket * _STEPS_PER_BUCKET, self.config.freq_dim)
            return self.linear(waves).unflatten(1, (6, -1))

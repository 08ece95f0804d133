"""How a DiT takes in the embeds of a picture (spec 1.8). Attribute names are the official keys."""

# B batch, N image rows, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from wan_core.models.dit.config import DiTConfig

LAYER_NORM_EPS = 1e-5  # of these norms only


class ImageEmbedding(nn.Module):
    """Brings image embeds to the width of the DiT; where two pictures are given, with positions."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width = config.image_dim
        self.proj = nn.Sequential(
            nn.LayerNorm(width, eps=LAYER_NORM_EPS),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.dim),
            nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS),
        )
        self.emb_pos = (
            nn.Parameter(torch.zeros(1, config.image_positions, width)) if config.image_positions else None
        )

    def forward(self, image_embeds: Tensor) -> Tensor:
        """(B, N, image_dim) -> (B, N, D), in the dtype of the matrices; the norms are float32."""
        norm_in, mix, gelu, widen, norm_out = self.proj
        rows = image_embeds.float()
        if self.emb_pos is not None:
            assert rows.shape[1:] == self.emb_pos.shape[1:], f"{tuple(rows.shape)} for {self.emb_pos.shape}"
            rows = rows + self.emb_pos.float()
        dtype = widen.weight.dtype
        rows = widen(gelu(mix(norm_in(rows).to(dtype))))
        return norm_out(rows.float()).to(dtype)

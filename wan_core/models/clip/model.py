"""The CLIP image encoder (spec 5). Attribute names are the official keys, less ``visual.``."""

# n pictures, L tokens, D width

from __future__ import annotations

import torch
from torch import Tensor, nn

from wan_core.models.clip.config import CLIPConfig
from wan_core.ops.attention import attention


class SelfAttention(nn.Module):
    """Attention among the tokens; one matrix makes queries, keys and values, in this order."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.to_qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """(n, L, D) -> the same."""
        query, key, value = self.to_qkv(x).unflatten(2, (3, self.num_heads, -1)).unbind(2)
        return self.proj(attention(query, key, value))


class Block(nn.Module):
    """One transformer block, its norms before its parts."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=config.eps)
        self.attn = SelfAttention(config)
        self.norm2 = nn.LayerNorm(config.dim, eps=config.eps)
        self.mlp = nn.Sequential(
            nn.Linear(config.dim, config.dim_mlp), nn.GELU(), nn.Linear(config.dim_mlp, config.dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, L, D) -> the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CLIPImageEncoder(nn.Module):
    """Turns pictures into the image embeds that the i2v and flf2v transformers read.

    It is cut before the last block of the official file, whose result Wan does not use.

    Args:
        config: sizes of the model.
    """

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = nn.Conv2d(3, config.dim, config.patch_size, config.patch_size, bias=False)
        self.cls_embedding = nn.Parameter(torch.randn(1, 1, config.dim) / config.dim**0.5)
        self.pos_embedding = nn.Parameter(torch.randn(1, config.num_tokens, config.dim) / config.dim**0.5)
        self.pre_norm = nn.LayerNorm(config.dim, eps=config.eps)
        self.transformer = nn.Sequential(*(Block(config) for _ in range(config.num_layers)))

    def forward(self, pixels: Tensor) -> Tensor:
        """Image embeds of pictures.

        Args:
            pixels: (n, 3, image_size, image_size), as ``clip_pixels`` makes them.

        Returns:
            (n, num_tokens, dim), the class token first, in the dtype of the weights.
        """
        patches = self.patch_embedding(pixels.to(self.patch_embedding.weight.dtype))
        patches = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_embedding.expand(len(patches), -1, -1), patches], dim=1)
        return self.transformer(self.pre_norm(tokens + self.pos_embedding))

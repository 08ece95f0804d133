"""Latent grid to tokens and back. Tokens run over (time, height, width), width fastest."""

# B batch, C channels, F latent frames, H W latent grid, L tokens

from __future__ import annotations

from torch import Tensor

Triple = tuple[int, int, int]


def patch_grid(latents: Tensor, patch: Triple) -> Triple:
    """Tokens along (time, height, width) of (B, C, F, H, W) latents."""
    frames, height, width = latents.shape[2:]
    return frames // patch[0], height // patch[1], width // patch[2]


def patchify(latents: Tensor, patch: Triple) -> Tensor:
    """(B, C, F, H, W) -> (B, L, C * prod(patch)), channel slowest, as a convolution's weight lies."""
    time, height, width = patch_grid(latents, patch)
    split = latents.unflatten(4, (width, patch[2])).unflatten(3, (height, patch[1]))
    split = split.unflatten(2, (time, patch[0]))  # B C f pt h ph w pw
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4).flatten(1, 3)


def unpatchify(tokens: Tensor, grid: Triple, patch: Triple) -> Tensor:
    """(B, L, prod(patch) * C) -> (B, C, F, H, W), channel fastest (spec 1.10)."""
    split = tokens.unflatten(2, (*patch, -1)).unflatten(1, grid)  # B f h w pt ph pw C
    return split.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6).flatten(4, 5).flatten(2, 3)

"""What a VAE checkpoint says about its own sizes. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wan_core.models.vae.config import VAEConfig

_BLOCK = re.compile(r"encoder\.downsamples\.(\d+)\.residual\.6\.weight")


def is_vae(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether these tensors are a Wan VAE's, by its tell-tale keys."""
    return "encoder.conv1.weight" in shapes and "decoder.upsamples.0.residual.2.weight" in shapes


def infer_config(shapes: Mapping[str, Sequence[int]]) -> VAEConfig:
    """Sizes from the names and shapes of a VAE's tensors.

    Raises:
        ValueError: the tensors are not a Wan VAE's.
    """
    if not is_vae(shapes):
        raise ValueError("these tensors are not a Wan VAE's: encoder.conv1 or decoder.upsamples is missing")
    dim = shapes["encoder.conv1.weight"][0]
    blocks = sorted(int(m[1]) for m in map(_BLOCK.fullmatch, shapes) if m)
    stages = [i for i in blocks if i + 1 not in blocks]  # the last block of each stage
    return VAEConfig(
        dim=dim,
        z_dim=shapes["conv2.weight"][0],
        dim_mult=tuple(shapes[f"encoder.downsamples.{i}.residual.6.weight"][0] // dim for i in stages),
        num_res_blocks=len(blocks) // len(stages),
    )

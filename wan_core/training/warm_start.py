"""A model that sees more than text, begun as the text-to-video model that it grows out of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wan_core.models.dit.blocks import ImageCrossAttention
from wan_core.models.dit.model import WanDiT


@torch.no_grad()
def start_as(base: WanDiT, dit: WanDiT) -> None:
    """Fill ``dit``, of the sizes of ``base`` and with more inputs, so that it predicts what ``base`` does.

    Whatever it is given besides the prompt changes nothing at first: channels joined to the latents meet
    zeros, the attention to pictures yields zeros, and so do the links of the VACE blocks, which are
    copies of the blocks that they steer.
    """
    dit.init_weights()
    state = base.state_dict()
    state["patch_embedding.weight"] = _widened(state["patch_embedding.weight"], dit.config.in_dim)
    unknown = dit.load_state_dict(state, strict=False).unexpected_keys
    assert not unknown, f"the model that it grows out of also has {unknown}"
    for module in dit.modules():
        if isinstance(module, ImageCrossAttention):
            nn.init.zeros_(module.v_img.weight)
    for number, (layer, block) in enumerate(zip(dit.config.vace_layers, dit.vace_blocks, strict=True)):
        block.load_state_dict(base.blocks[layer].state_dict(), strict=False)
        nn.init.zeros_(block.after_proj.weight)
        if number == 0:
            nn.init.eye_(block.before_proj.weight)


def _widened(weight: Tensor, in_dim: int) -> Tensor:
    """(D, channels, ...) -> (D, in_dim, ...), the further channels zero."""
    further = weight.new_zeros(len(weight), in_dim - weight.shape[1], *weight.shape[2:])
    return torch.cat([weight, further], dim=1)

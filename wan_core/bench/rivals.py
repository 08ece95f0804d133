"""diffusers' models with our weights: what ours are measured against.

diffusers is needed for nothing else in this program, and only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from wan_core.models.dit import dialects as dit_names
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae import dialects as vae_names
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.schema.dialect import Renamer

DiTCall = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Latents, timestep and a prompt filled up to 512 tokens -> what the transformer makes of them."""

TextCall = Callable[[Tensor, Tensor], Tensor]
"""Ids of tokens and their mask, filled up to 512 -> embeddings."""


def rival_dit(dit: WanDiT) -> nn.Module:
    """diffusers' transformer with the weights of ours, in the precisions that diffusers keeps them in."""
    from diffusers import WanTransformer3DModel

    config, dtype = dit.config, dit.patch_embedding.weight.dtype
    with torch.device("meta"):
        rival = WanTransformer3DModel(
            num_attention_heads=config.num_heads,
            attention_head_dim=config.head_dim,
            text_dim=config.text_dim,
            freq_dim=config.freq_dim,
            ffn_dim=config.ffn_dim,
            num_layers=config.num_layers,
        )
    rival.rope = type(rival.rope)(config.head_dim, config.patch_size, 1024)  # its tables are no weights
    kept = rival._keep_in_fp32_modules

    def dtype_of(name: str) -> torch.dtype:
        return torch.float32 if any(part in kept for part in name.split(".")) else dtype

    (dialect, *_) = dit_names.DIALECTS
    return _filled(rival, dit, dialect.renamer(list(rival.state_dict())), dtype_of)


def compiled_dit(dit: WanDiT) -> nn.Module:
    """The same, its blocks compiled as diffusers advises: each by itself, once for all of them."""
    rival = rival_dit(dit)
    rival.compile_repeated_blocks(fullgraph=True)
    return rival


def dit_call(dit: WanDiT, compiled: bool = False) -> DiTCall:
    """A call of diffusers' transformer."""
    rival = compiled_dit(dit) if compiled else rival_dit(dit)
    return lambda latents, timestep, prompt: rival(latents, timestep, prompt).sample


def rival_vae(vae: WanVAE) -> nn.Module:
    """diffusers' VAE with the weights of ours."""
    from diffusers import AutoencoderKLWan

    dtype = vae.conv2.weight.dtype
    assert vae.config == VAEConfig(), "diffusers is given the official sizes only"
    with torch.device("meta"):
        rival = AutoencoderKLWan()
    (dialect, *_) = vae_names.DIALECTS
    return _filled(rival, vae, dialect.renamer(list(rival.state_dict())), lambda name: dtype)


def decoding(vae: WanVAE, compiled: bool = False) -> Callable[[Tensor], Tensor]:
    """diffusers' VAE: latents as the transformer makes them -> frames. Its pipeline undoes their scaling.

    ``compiled``: its decoder, which it calls for each latent frame.
    """
    rival = rival_vae(vae)
    if compiled:
        rival.decoder.compile()
    return lambda latents: rival.decode(vae.denormalise(latents)).sample


def text_call(encoder: nn.Module, compiled: bool = False) -> TextCall:
    """The text encoder is transformers' on both sides; diffusers has it read all 512 tokens."""
    rival = torch.compile(encoder) if compiled else encoder
    return lambda ids, mask: rival(input_ids=ids, attention_mask=mask).last_hidden_state


def _filled(
    rival: nn.Module, ours: nn.Module, rename: Renamer, dtype_of: Callable[[str], torch.dtype]
) -> nn.Module:
    state = ours.state_dict()
    theirs = {name: state[rename(name)].to(dtype_of(name)) for name in rival.state_dict()}
    rival.load_state_dict(theirs, strict=True, assign=True)
    return rival.eval().requires_grad_(False)


def save_rival(dit: WanDiT, folder: Path) -> Callable[[], object]:
    """Write a transformer as diffusers keeps it; what loads it again."""
    from diffusers import WanTransformer3DModel

    rival_dit(dit).save_pretrained(folder)
    dtype = dit.patch_embedding.weight.dtype
    return lambda: read_pages(WanTransformer3DModel.from_pretrained(folder, torch_dtype=dtype).state_dict())


def read_pages(state: dict[str, Tensor]) -> None:
    """Look at a number of every page, so that mapped files are counted as read."""
    for tensor in state.values():
        tensor.flatten()[:: 4096 // tensor.itemsize].max()

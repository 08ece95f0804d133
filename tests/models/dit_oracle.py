"""How diffusers' Wan transformers are made to compute what ours do, from the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from torch import nn
from torch.nn import functional

from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT

Oracle = TypeVar("Oracle", bound=nn.Module)

# official name -> diffusers name, replaced in this order
_ORACLE_NAMES = (
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
    ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
    ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
    ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
    ("before_proj", "proj_in"),
    ("after_proj", "proj_out"),
    ("head.modulation", "scale_shift_table"),
    ("head.head", "proj_out"),
    (".modulation", ".scale_shift_table"),
    ("self_attn", "attn1"),
    ("cross_attn", "attn2"),
    (".norm_k_img.", ".norm_added_k."),
    (".k_img.", ".add_k_proj."),
    (".v_img.", ".add_v_proj."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".o.", ".to_out.0."),
    ("norm3", "norm2"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
)

# what diffusers has no counterpart of; a test puts it in by hand
_UNKNOWN_TO_ORACLE = ("ref_conv.", "control_adapter.", ".cam_encoder.", ".projector.")


def oracle_sizes(config: DiTConfig) -> dict[str, int]:
    """The arguments that every transformer of diffusers takes."""
    return {
        "num_attention_heads": config.num_heads,
        "attention_head_dim": config.head_dim,
        "in_channels": config.in_dim,
        "out_channels": config.out_dim,
        "text_dim": config.text_dim,
        "freq_dim": config.freq_dim,
        "ffn_dim": config.ffn_dim,
        "num_layers": config.num_layers,
    }


def fill_oracle(oracle: Oracle, state: Mapping[str, torch.Tensor]) -> Oracle:
    """Give the oracle our weights, all of them, and a sinusoid as exact as the specification's."""
    oracle.load_state_dict({_oracle_name(name): tensor for name, tensor in state.items()}, strict=True)
    half = oracle.config.freq_dim // 2

    def exact_sinusoid(timestep: torch.Tensor) -> torch.Tensor:
        angles = [[t * 10000.0 ** (-j / half) for j in range(half)] for t in timestep.tolist()]
        return torch.from_numpy(np.concatenate([np.cos(angles), np.sin(angles)], axis=1)).float()

    oracle.condition_embedder.timesteps_proj.forward = exact_sinusoid  # its own is float32: 3e-5 off at 999
    return oracle.eval()


def plain_oracle(dit: WanDiT) -> WanTransformer3DModel:
    """diffusers' transformer with our weights, but for the parts that it does not know."""
    config = dit.config
    oracle = WanTransformer3DModel(
        **oracle_sizes(config),
        image_dim=config.image_dim or None,
        added_kv_proj_dim=config.dim if config.image_dim else None,
        pos_embed_seq_len=config.image_positions or None,
    )
    state = dit.state_dict()
    known = [name for name in state if not any(part in name for part in _UNKNOWN_TO_ORACLE)]
    return fill_oracle(oracle, {name: state[name] for name in known})


def full_text(config: DiTConfig, prompt: torch.Tensor) -> torch.Tensor:
    """The rows of a prompt, filled up with zeros, as diffusers' transformer is given them."""
    return functional.pad(prompt, (0, 0, 0, config.text_len - prompt.shape[1]))


def _oracle_name(name: str) -> str:
    for ours, theirs in _ORACLE_NAMES:
        name = name.replace(ours, theirs)
    return name

"""The umT5 text encoder (spec 4)."""

from __future__ import annotations

import transformers
from transformers import UMT5EncoderModel

from wan_core.models.umt5.config import UMT5Config


def build_encoder(config: UMT5Config) -> UMT5EncoderModel:
    """A umT5 encoder with the library's own initial weights, and no dropout.

    The two names of the token table are one module, so that a state dict that is assigned, and a
    later move to another device, keep a single table.
    """
    encoder = UMT5EncoderModel(
        transformers.UMT5Config(
            vocab_size=config.vocab_size,
            d_model=config.dim,
            d_kv=config.dim_attn // config.num_heads,
            d_ff=config.dim_ffn,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            relative_attention_num_buckets=config.num_buckets,
            dropout_rate=0.0,
        )
    )
    encoder.encoder.embed_tokens = encoder.shared
    return encoder

"""transformers' CLIP with the weights of a file under the official names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from wan_core.models.clip.config import CLIPConfig

# official name, inside a block -> transformers name
_BLOCK_NAMES = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
    "attn.proj": "self_attn.out_proj",
}


def build_oracle(official: Mapping[str, Tensor], config: CLIPConfig) -> CLIPVisionModel:
    """The whole image half of a file, with the block that ``CLIPImageEncoder`` leaves out."""
    blocks = config.num_layers + 1
    model = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=config.dim,
            intermediate_size=config.dim_mlp,
            num_hidden_layers=blocks,
            num_attention_heads=config.num_heads,
            image_size=config.image_size,
            patch_size=config.patch_size,
            hidden_act="gelu",
            layer_norm_eps=config.eps,
        )
    ).eval()
    state = {
        "embeddings.class_embedding": official["visual.cls_embedding"].flatten(),
        "embeddings.position_embedding.weight": official["visual.pos_embedding"][0],
        "embeddings.patch_embedding.weight": official["visual.patch_embedding.weight"],
        "pre_layrnorm.weight": official["visual.pre_norm.weight"],
        "pre_layrnorm.bias": official["visual.pre_norm.bias"],
        "post_layernorm.weight": official["visual.post_norm.weight"],
        "post_layernorm.bias": official["visual.post_norm.bias"],
    }
    for number in range(blocks):
        for end in ("weight", "bias"):
            ours, theirs = f"visual.transformer.{number}", f"encoder.layers.{number}"
            for name, other in _BLOCK_NAMES.items():
                state[f"{theirs}.{other}.{end}"] = official[f"{ours}.{name}.{end}"]
            for letter, part in zip("qkv", official[f"{ours}.attn.to_qkv.{end}"].chunk(3), strict=True):
                state[f"{theirs}.self_attn.{letter}_proj.{end}"] = part
    model.load_state_dict(state, strict=True)
    return model

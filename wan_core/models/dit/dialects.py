"""The names that other makers give the tensors of a DiT. Imports no torch.

ComfyUI, Kijai, GGUF files and DiffSynth keep the official names behind a prefix; diffusers has its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from wan_core.schema.dialect import Dialect, Renamer, rename_by

_BLOCK = re.compile(r"((?:vace_)?blocks\.\d{1,4})\.(.+)")
_EMBEDDER = "condition_embedder."

# diffusers -> official, outside the blocks
DIFFUSERS_ENDS: dict[str, str | None] = {
    f"{_EMBEDDER}text_embedder.linear_1": "text_embedding.0",
    f"{_EMBEDDER}text_embedder.linear_2": "text_embedding.2",
    f"{_EMBEDDER}time_embedder.linear_1": "time_embedding.0",
    f"{_EMBEDDER}time_embedder.linear_2": "time_embedding.2",
    f"{_EMBEDDER}time_proj": "time_projection.1",
    f"{_EMBEDDER}image_embedder.norm1": "img_emb.proj.0",
    f"{_EMBEDDER}image_embedder.ff.net.0.proj": "img_emb.proj.1",
    f"{_EMBEDDER}image_embedder.ff.net.2": "img_emb.proj.3",
    f"{_EMBEDDER}image_embedder.norm2": "img_emb.proj.4",
    f"{_EMBEDDER}image_embedder.pos_embed": "img_emb.emb_pos",
    "scale_shift_table": "head.modulation",
    "proj_out": "head.head",
}
# diffusers -> official, inside a block; the second and third norm stand in the order in which they run
DIFFUSERS_INSIDE: dict[str, str | None] = {
    "norm2": "norm3",
    "norm3": "norm2",
    **{
        f"{theirs}.{name}": f"{ours}.{official}"
        for theirs, ours in (("attn1", "self_attn"), ("attn2", "cross_attn"))
        for name, official in (
            ("to_q", "q"),
            ("to_k", "k"),
            ("to_v", "v"),
            ("to_out.0", "o"),
            ("norm_q", "norm_q"),
            ("norm_k", "norm_k"),
        )
    },
    "attn2.add_k_proj": "cross_attn.k_img",
    "attn2.add_v_proj": "cross_attn.v_img",
    "attn2.norm_added_k": "cross_attn.norm_k_img",
    "attn2.norm_added_q": None,  # in early files; nothing reads it
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "scale_shift_table": "modulation",
    "proj_in": "before_proj",
    "proj_out": "after_proj",
}


def _from_diffusers(names: Collection[str]) -> Renamer:
    def rename(name: str) -> str | None:
        block = _BLOCK.fullmatch(name)
        if block is None:
            return rename_by(DIFFUSERS_ENDS, name)
        inside = rename_by(DIFFUSERS_INSIDE, block[2])
        return inside and f"{block[1]}.{inside}"

    return rename


DIALECTS = (
    Dialect("diffusers", ("blocks.0.attn1.to_q.weight",), _from_diffusers),
    Dialect("diffusers", ("vace_blocks.0.attn1.to_q.weight",), _from_diffusers),
)

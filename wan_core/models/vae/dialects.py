"""The names that other makers give the tensors of the VAE. Imports no torch.

diffusers counts the decoder's blocks by stage; officially they stand in one row.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from wan_core.schema.dialect import Dialect, Renamer, rename_by

# diffusers -> official
_ENDS: dict[str, str | None] = {
    "quant_conv": "conv1",
    "post_quant_conv": "conv2",
    **{
        f"{half}.{theirs}": f"{half}.{ours}"
        for half in ("encoder", "decoder")
        for theirs, ours in (("conv_in", "conv1"), ("norm_out", "head.0"), ("conv_out", "head.2"))
    },
}
_RESIDUAL: dict[str, str | None] = {
    "norm1": "residual.0",
    "conv1": "residual.2",
    "norm2": "residual.3",
    "conv2": "residual.6",
    "conv_shortcut": "shortcut",
}
_DOWN = re.compile(r"encoder\.down_blocks\.(\d{1,4})\.(.+)")
_UP = re.compile(r"decoder\.up_blocks\.(\d{1,4})\.(resnets|upsamplers)\.(\d{1,4})\.(.+)")
_MIDDLE = re.compile(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d{1,4})\.(.+)")


def _from_diffusers(names: Collection[str]) -> Renamer:
    resnets = {match[3] for match in map(_UP.fullmatch, names) if match and match[2] == "resnets"}

    def rename(name: str) -> str | None:
        if down := _DOWN.fullmatch(name):
            return f"encoder.downsamples.{down[1]}.{rename_by(_RESIDUAL, down[2])}"
        if up := _UP.fullmatch(name):
            place = int(up[3]) if up[2] == "resnets" else len(resnets)
            index = int(up[1]) * (len(resnets) + 1) + place
            return f"decoder.upsamples.{index}.{rename_by(_RESIDUAL, up[4])}"
        if middle := _MIDDLE.fullmatch(name):
            place = 1 if middle[2] == "attentions" else 2 * int(middle[3])
            inside = middle[4] if place == 1 else rename_by(_RESIDUAL, middle[4])
            return f"{middle[1]}.middle.{place}.{inside}"
        return rename_by(_ENDS, name)

    return rename


DIALECTS = (Dialect("diffusers", ("decoder.conv_in.weight", "post_quant_conv.weight"), _from_diffusers),)

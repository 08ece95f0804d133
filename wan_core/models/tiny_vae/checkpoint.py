"""Which tensors are those of a tiny video decoder, and its sizes. Imports no torch.

The files are those of TAEHV (``taew2_1``): ``encoder.*`` and ``decoder.*``, each numbered through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wan_core.schema.errors import WeightsError

PREFIX = "decoder."
FIRST, LAST = 1, 22
"""Places of the first and the last convolution."""

NARROWING = (8, 14, 20)
"""Places of the convolutions that end a stage, and lead into the next one's width."""

GROWING = {7: 1, 13: 2, 19: 2}
"""Place of what makes several frames of one -> of how many."""

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class TinyDecoderConfig:
    """``widths`` are the channels of the three stages and of what follows them."""

    latent_channels: int = 16
    widths: tuple[int, int, int, int] = (256, 128, 64, 64)


def is_tiny_decoder(shapes: Shapes) -> bool:
    """Whether a tiny decoder is among these tensors, by its tell-tale keys."""
    return f"{PREFIX}3.conv.0.weight" in shapes and f"{PREFIX}{LAST}.weight" in shapes


def infer_config(shapes: Shapes) -> TinyDecoderConfig:
    """The sizes of the decoder that is among these tensors.

    Raises:
        WeightsError: there is none.
    """
    try:
        width, channels = shapes[f"{PREFIX}{FIRST}.weight"][:2]
        others = [shapes[f"{PREFIX}{place}.weight"][0] for place in NARROWING]
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError("These are no tensors of a tiny decoder; use taew2_1.safetensors.") from error
    return TinyDecoderConfig(channels, (width, *others))

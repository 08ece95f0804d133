"""How cost grows with frames and pixels: small clips, measured, and the curve that goes through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from wan_core.bench.models import DIT, filled, make_vae
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.config import SPATIAL_STRIDE, latent_frames
from wan_core.pipelines.preparing import prepared

_PASS, _DECODING = "pass", "decoding"


@dataclass(frozen=True)
class Clip:
    """What is made, and by what: ``pass`` is one block of the 1.3B transformer, ``decoding`` the VAE."""

    part: str
    frames: int
    width: int
    height: int

    @property
    def name(self) -> str:
        return f"{self.part} {self.frames} frames {self.width}x{self.height}"

    @classmethod
    def of(cls, name: str) -> Clip:
        """What ``name`` has written."""
        part, frames, _, size = name.split(" ")
        width, height = map(int, size.split("x"))
        return cls(part, int(frames), width, height)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, rows and columns."""
        return latent_frames(self.frames), self.height // SPATIAL_STRIDE, self.width // SPATIAL_STRIDE

    @property
    def tokens(self) -> int:
        return DIT.tokens(*self.grid)


BY_FRAMES = [
    *(Clip(_PASS, frames, 224, 128) for frames in (5, 17, 33, 49, 81)),
    *(Clip(_DECODING, frames, 64, 64) for frames in (5, 9, 17)),
]
BY_PIXELS = [
    *(Clip(_PASS, 17, 112 * n, 64 * n) for n in (1, 2, 3, 4, 5)),
    *(Clip(_DECODING, 5, side, side) for side in (64, 96, 128)),
]


@contextmanager
def growth_runs(device: torch.device) -> Iterator[Mapping[str, Callable[[], object]]]:
    """Each clip by its name -> what makes it, in bfloat16."""
    dit = filled(WanDiT(replace(DIT, num_layers=1)), 0)
    for name, parameter in dit.named_parameters():
        dtype = torch.float32 if WanDiT.keep_in_fp32(name) else torch.bfloat16
        parameter.data = parameter.to(device, dtype)
    vae = make_vae(device, torch.bfloat16)
    prompt = torch.randn(1, 77, DIT.text_dim).to(device, torch.bfloat16)
    timestep = torch.tensor([500.0], device=device)

    def run(clip: Clip) -> Callable[[], object]:
        latents = torch.randn(1, 16, *clip.grid).to(device)
        if clip.part == _PASS:
            return lambda: dit(latents, timestep, prompt)
        return lambda: [None for _ in vae.decode_stream(latents.bfloat16())]

    with prepared(dit):
        yield {clip.name: run(clip) for clip in dict.fromkeys([*BY_FRAMES, *BY_PIXELS])}


def fitted(clips: Sequence[Clip], seconds: Sequence[float]) -> Callable[[Clip], float]:
    """Seconds of any clip of one part, from those measured.

    A pass takes a L + b L^2 for L tokens, the layers and the attention; decoding takes a for each pixel of
    each frame. Both are fitted so that relative errors are least.
    """
    (part,) = {clip.part for clip in clips}
    rows = np.array([_terms(clip) for clip in clips]) / np.array(seconds)[:, None]
    factors, *_ = np.linalg.lstsq(rows, np.ones(len(clips)), rcond=None)

    def predicted(clip: Clip) -> float:
        assert clip.part == part
        return float(np.dot(_terms(clip), factors))

    return predicted


def _terms(clip: Clip) -> list[float]:
    if clip.part == _PASS:
        return [float(clip.tokens), float(clip.tokens) ** 2]
    return [float(clip.frames * clip.width * clip.height)]

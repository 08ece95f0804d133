"""Latents of drawn clips, encoded once and kept, for the DiT to learn from."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from wan_core.models.vae.model import WanVAE
from wan_core.training.captions import caption
from wan_core.training.world import Scene, draw, random_scene

log = logging.getLogger(__name__)

CLIPS_PER_LENGTH = {17: 6000, 9: 600, 13: 600, 21: 600, 25: 600}  # frames -> clips
_WITHOUT_PROMPT = 0.1  # share of examples that teach guidance its empty prompt


def training_scene(frames: int, index: int) -> Scene:
    """The scene behind clip ``index`` of that length; fixed for ever."""
    return random_scene(random.Random(f"dit {frames} {index}"))


def prompt_of(scene: Scene, rng: random.Random) -> str:
    """A fresh sentence for a scene, or now and then none."""
    return "" if rng.random() < _WITHOUT_PROMPT else caption(scene, rng)


@torch.no_grad()
def encode_clips(vae: WanVAE, clips: Tensor) -> Tensor:
    """(B, 3, T, H, W) -> latents (B, 16, t, h, w), float16, on the CPU."""
    device = vae.conv1.weight.device
    with torch.autocast(device.type, torch.bfloat16):
        return vae.encode(clips.to(device)).half().cpu()


def write_latents(vae: WanVAE, file: Path, batch: int = 20) -> None:
    """Encode every training clip; one tensor (clips, 16, t, 8, 8), float16, per length."""
    tensors = {}
    for frames, count in CLIPS_PER_LENGTH.items():
        parts = []
        for start in range(0, count, batch):
            scenes = [training_scene(frames, i) for i in range(start, min(start + batch, count))]
            parts.append(encode_clips(vae, torch.stack([draw(scene, frames) for scene in scenes])))
        tensors[str(frames)] = torch.cat(parts).contiguous()
        log.info("encoded %d clips of %d frames", count, frames)
    save_file(tensors, file)


@dataclass(frozen=True)
class Batch:
    """Latents (B, 16, t, 8, 8), float32, and a sentence for each."""

    latents: Tensor
    prompts: list[str]


class LatentSet:
    """The kept latents; ``batch`` is a function of the step alone."""

    def __init__(self, file: Path) -> None:
        self._tensors = {int(frames): t for frames, t in load_file(file).items()}

    def batch(self, step: int, size: int) -> Batch:
        """``size`` clips of one length, longer sets more often, each with a fresh sentence."""
        rng = random.Random(f"batch {step}")
        lengths = list(self._tensors)
        (frames,) = rng.choices(lengths, [len(self._tensors[n]) for n in lengths])
        picks = [rng.randrange(len(self._tensors[frames])) for _ in range(size)]
        prompts = [prompt_of(training_scene(frames, i), rng) for i in picks]
        return Batch(self._tensors[frames][picks].float(), prompts)

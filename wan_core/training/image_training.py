"""Training of the model that begins from pictures, together with its small image encoder.

One model learns both tasks: half of the examples show the first frame, half the first and the last.
"""

# B batch, T frames, F latent frames, H W pixels, h w latent grid

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from wan_core.catalog import ModelSpec
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.clip.pixels import clip_pixels
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines.conditioning.image import image_channels, known_frames, known_mask
from wan_core.training.dit_training import BATCH, FlowMatching, Sample, draw_sample, trainable_attention
from wan_core.training.kept_clips import KeptClips
from wan_core.training.latents import encode_clips, prompt_of
from wan_core.training.world import Scene, draw, random_scene

CLIPS_PER_GROUP = {"17": 5000, "9": 350, "13": 350, "21": 350, "25": 350}
"""The frames of a clip -> clips."""

_MIDWAY = 0.5  # share of clips that begin within a journey, where the picture does not tell the motion
_LATEST = 12  # frames of a journey that a clip may leave out


class ImageFlowMatching(FlowMatching):
    """Flow matching of a model that sees pictures, and their encoder."""

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        super().__init__(spec, seed)
        self.image_encoder = CLIPImageEncoder(spec.image_encoder)

    def forward(self, sample: Sample, channel_latents: Tensor, pictures: Tensor) -> Tensor:
        """``channel_latents`` is (B, 20, F, h, w), ``pictures`` (B, 3, H, W) in [-1, 1]."""
        pixels = clip_pixels(pictures.to(self.device), self.image_encoder.config.image_size)
        with trainable_attention(self.device):
            embeds = self.image_encoder(pixels).float()
        seen = DiTConditioning(channel_latents=channel_latents.to(self.device), image_embeds=embeds)
        return super().forward(sample, seen)


def image_scene(group: str, index: int) -> tuple[Scene, int]:
    """The scene behind clip ``index``, and the frame of it that the clip begins with; fixed for ever."""
    rng = random.Random(f"image {group} {index}")
    return random_scene(rng), rng.randint(1, _LATEST) if rng.random() < _MIDWAY else 0


def image_clip(vae: WanVAE, group: str, index: int) -> dict[str, Tensor]:
    """What is kept of a clip.

    ``latents`` (16, F, h, w) of the clip, ``begun`` of its first frame and grey ones, ``ended`` (16, 1, h, w)
    what is last when the last frame is there, too; ``picture`` (3, H, W), uint8, is its first frame.
    """
    scene, start = image_scene(group, index)
    clip = draw(scene, int(group), start)[None]
    first, last = clip[:, :, 0], clip[:, :, -1]
    known = [torch.cat([*known_frames(first, end, clip.shape[2])], dim=2) for end in (None, last)]
    latents = encode_clips(vae, torch.cat([clip, *known]))
    picture = ((first[0] + 1) * 127.5).round().to(torch.uint8)
    return {"latents": latents[0], "begun": latents[1], "ended": latents[2, :, -1:], "picture": picture}


class ImageData:
    """The loss of the batch that belongs to a step."""

    def __init__(self, clips: KeptClips, tokenizer: PromptTokenizer) -> None:
        self._clips = clips
        self._tokenizer = tokenizer

    def loss_at(self, model: nn.Module, step: int) -> Tensor:
        picks = self._clips.pick(step, BATCH)
        prompts = [prompt_of(image_scene(picks.group, index)[0], picks.rng) for index in picks.indices]
        sample = draw_sample(picks.tensors["latents"].float(), prompts, self._tokenizer, step)
        with_last = torch.tensor([picks.rng.random() < 0.5 for _ in picks.indices])
        pictures = picks.tensors["picture"].float() / 127.5 - 1
        return model(sample, channels(picks.tensors, int(picks.group), with_last), pictures)


def channels(tensors: dict[str, Tensor], frames: int, with_last: Tensor) -> Tensor:
    """(B, 20, F, h, w): mask and latents; ``with_last`` (B,), bool, says where the last frame is shown."""
    latents = tensors["begun"].float()
    latents[with_last, :, -1:] = tensors["ended"][with_last].float()
    height, width = latents.shape[-2:]
    known = ((0, -1) if last else (0,) for last in with_last.tolist())
    return image_channels(torch.cat([known_mask(k, frames, height, width) for k in known]), latents)

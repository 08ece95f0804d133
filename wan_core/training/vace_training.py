"""Training of VACE beside a frozen DiT: the side branch learns what masks, edges and references mean."""

# T frames, F latent frames, h w latent grid, R references (0 or 1)

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines.conditioning.vace import mask_channels, split_frames, vace_context
from wan_core.training.captions import motion_caption
from wan_core.training.dit_training import BATCH, FlowMatching, Sample, draw_sample
from wan_core.training.kept_clips import KeptClips
from wan_core.training.latents import encode_clips, prompt_of
from wan_core.training.vace_examples import VaceExample, has_reference, vace_example, vace_scene

_LATENT_CHANNELS = 32  # of the context; the others are the mask's
_WITHOUT_SUBJECT = 0.5  # share of the prompts beside a reference that leave it to say who appears


class VaceFlowMatching(FlowMatching):
    """Flow matching with a VACE context; a reference's own frame is learnt as any other."""

    def freeze_base(self) -> None:
        """Let nothing learn but the side branch."""
        self.requires_grad_(False)
        self.dit.vace_patch_embedding.requires_grad_(True)
        self.dit.vace_blocks.requires_grad_(True)

    def forward(self, sample: Sample, context: Tensor) -> Tensor:
        """``context`` is (B, 96, R + F, h, w)."""
        return super().forward(sample, DiTConditioning(vace_latents=context.to(self.device)))


class VaceClips:
    """Makes examples into what is kept of them; the latents of grey clips are made once."""

    def __init__(self, vae: WanVAE) -> None:
        self._vae = vae
        self._grey: dict[torch.Size, Tensor] = {}

    def make(self, group: str, index: int) -> dict[str, Tensor]:
        """``latents`` (16, R + F, h, w), ``context`` (32, R + F, h, w) and ``mask`` (64, R + F, h, w)."""
        example = vace_example(group, index)
        references = [] if example.reference is None else [self._encode(example.reference[:, None])]
        context = self._context(example, references)
        return {
            "latents": torch.cat([*references, self._encode(example.clip)], dim=2)[0],
            "context": context[0, :_LATENT_CHANNELS],
            "mask": context[0, _LATENT_CHANNELS:].bool(),
        }

    def _context(self, example: VaceExample, references: list[Tensor]) -> Tensor:
        halves = split_frames(example.frames[None], example.mask[None])
        inactive, reactive = (self._encode(half[0]) if half.any() else self._blank(half) for half in halves)
        return vace_context(inactive, reactive, mask_channels(example.mask[None].half()), references)

    def _blank(self, clip: Tensor) -> Tensor:
        if clip.shape not in self._grey:
            self._grey[clip.shape] = self._encode(clip[0])
        return self._grey[clip.shape]

    def _encode(self, clip: Tensor) -> Tensor:
        """(3, T, H, W) -> (1, 16, F, h, w), float16."""
        return encode_clips(self._vae, clip[None])


class VaceData:
    """The loss of the batch that belongs to a step."""

    def __init__(self, clips: KeptClips, tokenizer: PromptTokenizer) -> None:
        self._clips = clips
        self._tokenizer = tokenizer

    def loss_at(self, model: nn.Module, step: int) -> Tensor:
        picks = self._clips.pick(step, BATCH)
        prompts = [_prompt(picks.group, index, picks.rng) for index in picks.indices]
        sample = draw_sample(picks.tensors["latents"].float(), prompts, self._tokenizer, step)
        context = torch.cat([picks.tensors["context"].float(), picks.tensors["mask"].float()], dim=1)
        return model(sample, context)


def _prompt(group: str, index: int, rng: random.Random) -> str:
    scene = vace_scene(group, index)
    if has_reference(group) and rng.random() < _WITHOUT_SUBJECT:
        return motion_caption(scene, rng)
    return prompt_of(scene, rng)

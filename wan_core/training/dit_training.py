"""Training of a DiT by flow matching on kept latents; of the first one together with its text encoder."""

# B batch, F latent frames, H W latent grid, L text tokens

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wan_core.catalog import ModelSpec
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.model import build_encoder
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.schedulers.base import NUM_TRAIN_TIMESTEPS
from wan_core.training.latents import LatentSet

BATCH = 32
SHIFT = 2.0  # noise levels are drawn as if sampling with this shift


@dataclass(frozen=True)
class Sample:
    """What a DiT learns from in one step.

    Attributes:
        latents: (B, 16, F, H, W), float32, clean.
        noise: the same shape.
        sigma: (B,), how much of the noise there is.
        ids: (B, L), the prompts' tokens.
        mask: (B, L), 1 where a token is real.
    """

    latents: Tensor
    noise: Tensor
    sigma: Tensor
    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Sample:
        return Sample(*(tensor.to(device) for tensor in vars(self).values()))


def draw_sample(latents: Tensor, prompts: list[str], tokenizer: PromptTokenizer, step: int) -> Sample:
    """Clean latents with the noise of ``step``, whose levels are spread evenly over the batch."""
    generator = torch.Generator().manual_seed(step)
    batch = len(latents)
    noise = torch.randn(latents.shape, generator=generator)
    uniform = (torch.randperm(batch, generator=generator) + torch.rand(batch, generator=generator)) / batch
    sigma = SHIFT * uniform / (1 + (SHIFT - 1) * uniform)
    return Sample(latents, noise, sigma, *tokenizer(prompts))


class FlowMatching(nn.Module):
    """Noised latents and their sentences -> squared error of the predicted velocity, a scalar.

    Velocity is noise - latents at x = (1 - sigma) * latents + sigma * noise (spec 6).
    """

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.dit = WanDiT(spec.dit)
        self.dit.init_weights()
        self.text_encoder = build_encoder(spec.text_encoder)

    @property
    def device(self) -> torch.device:
        return self.dit.patch_embedding.weight.device

    def forward(self, sample: Sample, conditioning: DiTConditioning = UNCONDITIONED) -> Tensor:
        """``conditioning`` is on the device already."""
        sample = sample.to(self.device)
        embeds = self.text_encoder(input_ids=sample.ids, attention_mask=sample.mask).last_hidden_state
        embeds = embeds.float() * sample.mask.unsqueeze(-1)
        level = sample.sigma.view(-1, 1, 1, 1, 1)
        noisy = (1 - level) * sample.latents + level * sample.noise
        timestep = (sample.sigma * NUM_TRAIN_TIMESTEPS).floor()
        with trainable_attention(self.device):
            velocity = self.dit(noisy, timestep, embeds, conditioning)
        return F.mse_loss(velocity.float(), sample.noise - sample.latents)


def trainable_attention(device: torch.device) -> AbstractContextManager:
    """On a CPU the fused kernel's backward takes half of a step in bf16; plain products do not."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class FlowMatchingData:
    """The loss of the batch that belongs to a step."""

    def __init__(self, latents: LatentSet, tokenizer: PromptTokenizer) -> None:
        self._latents = latents
        self._tokenizer = tokenizer

    def loss_at(self, model: nn.Module, step: int) -> Tensor:
        batch = self._latents.batch(step, BATCH)
        return model(draw_sample(batch.latents, batch.prompts, self._tokenizer, step))

"""Training of the DiT and its text encoder together, by flow matching on kept latents."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wan_core.catalog import ModelSpec
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.model import build_encoder
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.schedulers.base import NUM_TRAIN_TIMESTEPS
from wan_core.training.latents import LatentSet

BATCH = 32
SHIFT = 2.0  # noise levels are drawn as if sampling with this shift


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

    def forward(self, latents: Tensor, noise: Tensor, sigma: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        device = self.dit.patch_embedding.weight.device
        latents, noise, sigma = latents.to(device), noise.to(device), sigma.to(device)
        ids, mask = ids.to(device), mask.to(device)
        embeds = self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        embeds = embeds.float() * mask.unsqueeze(-1)
        level = sigma.view(-1, 1, 1, 1, 1)
        noisy = (1 - level) * latents + level * noise
        timestep = (sigma * NUM_TRAIN_TIMESTEPS).floor()
        with _trainable_attention(latents.device):
            velocity = self.dit(noisy, timestep, embeds)
        return F.mse_loss(velocity.float(), noise - latents)


def _trainable_attention(device: torch.device) -> AbstractContextManager:
    """On a CPU the fused kernel's backward takes half of a step in bf16; plain products do not."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class FlowMatchingData:
    """The loss of the batch that belongs to a step."""

    def __init__(self, latents: LatentSet, tokenizer: PromptTokenizer) -> None:
        self._latents = latents
        self._tokenizer = tokenizer

    def loss_at(self, model: nn.Module, step: int) -> Tensor:
        batch = self._latents.batch(step, BATCH)
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn(batch.latents.shape, generator=generator)
        uniform = (
            torch.randperm(BATCH, generator=generator) + torch.rand(BATCH, generator=generator)
        ) / BATCH
        sigma = SHIFT * uniform / (1 + (SHIFT - 1) * uniform)
        ids, mask = self._tokenizer(batch.prompts)
        return model(batch.latents, noise, sigma, ids, mask)

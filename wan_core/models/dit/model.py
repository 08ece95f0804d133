"""The Wan diffusion transformer (spec 1)."""

# B batch, F latent frames, H W latent grid, L tokens, S text rows, N image rows, D width

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.models.dit.blocks import Block, DiTContext, Head, PatchEmbedding
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.image import ImageEmbedding
from wan_core.models.dit.vace import VaceBlock, vace_hints
from wan_core.ops.patchify import patch_grid, unpatchify
from wan_core.ops.rope import rope_table

_FP32_PREFIXES = ("time_embedding.", "time_projection.", "head.", "img_emb.proj.0.", "img_emb.proj.4.")
_FP32_PARTS = ("modulation", "norm_q", "norm_k", "norm3", "norm_k_img", "emb_pos")


class WanDiT(nn.Module):
    """Predicts the velocity of noisy latents.

    Weights may be float32, bfloat16 or float16: the large matrix products run in the dtype of
    ``patch_embedding``, everything named by :meth:`keep_in_fp32` and the residual stream in float32.

    Args:
        config: sizes of the model.
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.patch_embedding = PatchEmbedding(config.in_dim, dim, config.patch_size)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.head = Head(config)
        self.img_emb = ImageEmbedding(config) if config.image_dim else None
        self.vace_patch_embedding = (
            PatchEmbedding(config.vace_in_dim, dim, config.patch_size) if config.vace_layers else None
        )
        self.vace_blocks = nn.ModuleList(
            VaceBlock(config, first=number == 0) for number in range(len(config.vace_layers))
        )

    @staticmethod
    def keep_in_fp32(name: str) -> bool:
        """Whether the parameter ``name`` stays float32 when the model is cast to 16 bits (spec 1)."""
        return name.startswith(_FP32_PREFIXES) or any(part in _FP32_PARTS for part in name.split("."))

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        conditioning: DiTConditioning = UNCONDITIONED,
    ) -> Tensor:
        """Velocity of ``latents`` at ``timestep``.

        Args:
            latents: (B, out_dim, F, H, W), H and W multiples of the patch.
            timestep: (B,), in [0, 1000].
            prompt_embeds: (B, rows, text_dim), at most ``text_len`` rows; no padding is needed.
            conditioning: what the model reads besides; text to video reads nothing.

        Returns:
            (B, out_dim, F, H, W), float32.
        """
        tokens, context = self.embed(latents, timestep, prompt_embeds, conditioning)
        return self.unembed(self.run_blocks(tokens, context), context)

    def embed(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        conditioning: DiTConditioning = UNCONDITIONED,
    ) -> tuple[Tensor, DiTContext]:
        """Tokens (B, L, D) in float32, and what the blocks read besides them; see ``forward``."""
        conditioning.check(self.config)
        if conditioning.channel_latents is not None:
            latents = torch.cat([latents, conditioning.channel_latents.to(latents.dtype)], dim=1)
        grid = patch_grid(latents, self.config.patch_size)
        time, modulation = self._embed_time(timestep)
        text, text_bias = self._embed_text(prompt_embeds)
        context = DiTContext(
            grid=grid,
            time=time,
            modulation=modulation,
            text=text,
            text_bias=text_bias,
            rope=rope_table(grid, self.config.head_dim, latents.device),
            image=None if self.img_emb is None else self.img_emb(conditioning.image_embeds),
            vace=self._embed_vace(conditioning.vace_latents),
            vace_scale=conditioning.vace_scale,
        )
        return self.patch_embedding(latents).float(), context

    def run_blocks(self, tokens: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D), float32 -> the same, through every block; VACE hints join after theirs (spec 2)."""
        hints = vace_hints(self.vace_blocks, tokens, context)
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, context)
            if number in self.config.vace_layers:
                tokens = torch.add(tokens, next(hints), alpha=context.vace_scale)
        return tokens

    def unembed(self, tokens: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D), float32 -> velocity (B, out_dim, F, H, W), float32."""
        with torch.autocast(tokens.device.type, enabled=False):
            patches = self.head(tokens.float(), context.time)
        return unpatchify(patches, context.grid, self.config.patch_size)

    def _embed_time(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) -> (B, D) and (B, 6, D), float32 (spec 1.2)."""
        with torch.autocast(timestep.device.type, enabled=False):
            time = self.time_embedding(timestep_sinusoid(timestep, self.config.freq_dim))
            return time, self.time_projection(time).unflatten(1, (6, -1))

    def _embed_text(self, prompt_embeds: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, rows, text_dim) -> (B, S, D) in compute dtype, and the bias of its rows (spec 1.3).

        The zero rows that fill up to ``text_len`` all become the same key and value. On a CPU, where
        their projections cost as much as a small model's blocks, one row with the bias log(number of
        rows) stands for them; attention then gives the same result.
        """
        prompt_embeds = prompt_embeds.to(self.patch_embedding.weight.dtype)
        missing = self.config.text_len - prompt_embeds.shape[1]
        if missing > 1 and prompt_embeds.device.type == "cpu":
            padded = F.pad(prompt_embeds, (0, 0, 0, 1))
            bias = torch.zeros(padded.shape[1])
            bias[-1] = math.log(missing)
            return self.text_embedding(padded), bias
        return self.text_embedding(F.pad(prompt_embeds, (0, 0, 0, missing))), None

    def _embed_vace(self, vace_latents: Tensor | None) -> Tensor | None:
        """(B, vace_in_dim, F, H, W) -> (B, L, D) in compute dtype; None in a model without VACE."""
        return None if self.vace_patch_embedding is None else self.vace_patch_embedding(vace_latents)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Fill every parameter for training from scratch; the model then predicts zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | PatchEmbedding):
                nn.init.xavier_uniform_(module.weight.flatten(1))
                nn.init.zeros_(module.bias)
        for linear in (self.text_embedding[0], self.text_embedding[2]):
            nn.init.normal_(linear.weight, std=0.02)
        for linear in (self.time_embedding[0], self.time_embedding[2]):
            nn.init.normal_(linear.weight, std=0.02)
        for block in (*self.blocks, *self.vace_blocks):
            nn.init.normal_(block.modulation, std=self.config.dim**-0.5)
        nn.init.normal_(self.head.modulation, std=self.config.dim**-0.5)
        nn.init.zeros_(self.head.head.weight)


def timestep_sinusoid(timestep: Tensor, width: int) -> Tensor:
    """(B,) -> (B, width), float32: cosines, then sines, computed in float64 (spec 1.2)."""
    half = width // 2
    device = torch.device("cpu") if timestep.device.type == "mps" else timestep.device  # mps has no float64
    exponents = torch.arange(half, dtype=torch.float64, device=device) / half
    angles = torch.outer(timestep.to(device, torch.float64), 10000.0**-exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=1).float().to(timestep.device)

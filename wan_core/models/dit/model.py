"""The Wan diffusion transformer (spec 1)."""

# B batch, F latent frames, H W latent grid, L tokens, S text rows, N image rows, D width

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.models.dit.adjusting import Nag, Opposed
from wan_core.models.dit.blocks import Block, DiTContext, Head, PatchEmbedding
from wan_core.models.dit.camera import CameraAdapter, RecamBlock
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.image import ImageEmbedding
from wan_core.models.dit.memory import Memory, recalled
from wan_core.models.dit.sinusoid import sinusoid
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
        self.memory: Memory | None = None  # of a job, see ``remembering``
        dim = config.dim
        self.patch_embedding = PatchEmbedding(config.in_dim, dim, config.patch_size)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        block = RecamBlock if config.camera_path_dim else Block
        self.blocks = nn.ModuleList(block(config) for _ in range(config.num_layers))
        self.head = Head(config)
        self.img_emb = ImageEmbedding(config) if config.image_dim else None
        patch = config.patch_size[1:]
        self.ref_conv = nn.Conv2d(config.reference_dim, dim, patch, patch) if config.reference_dim else None
        self.control_adapter = CameraAdapter(config) if config.camera_dim else None
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

        With one sample of latents and several prompts the batch begins where the tokens first look at a
        prompt; what comes before, the self-attention of the first block included, is computed once.

        Args:
            latents: (B, out_dim, F, H, W), H and W multiples of the patch.
            timestep: (B,), in [0, 1000].
            prompt_embeds: (B, rows, text_dim), at most ``text_len`` rows; no padding is needed.
            conditioning: what the model reads besides; text to video reads nothing.

        Returns:
            (B, out_dim, F, H, W), float32, of as many as there are prompts.
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
        """Tokens (B, L, D) in float32, and what the blocks read besides them; see ``forward``.

        The tokens are those of the reference, of the clip and of the frames given after it, in this
        order; their time positions count on from 0 through all of them.
        """
        conditioning.check(self.config, latents)
        clip = patch_grid(latents, self.config.patch_size)
        tokens = self._embed_latents(latents, conditioning)
        front = 0
        if self.ref_conv is not None:
            reference = self._embed_reference(conditioning.reference_latents, latents)
            front = reference.shape[1]
            tokens = torch.cat([reference, tokens], dim=1)
        time, modulation = self._embed_time(timestep)
        if conditioning.motion is not None:
            modulation = modulation + conditioning.motion
        text, text_bias = recalled(self.memory, prompt_embeds, self, self._embed_text)
        frames = tokens.shape[1] // (clip[1] * clip[2])
        adjustments = conditioning.adjustments
        slowed = (adjustments.riflex, clip[0])
        context = DiTContext(
            grid=clip,
            time=time,
            modulation=modulation,
            text=text,
            text_bias=text_bias,
            rope=rope_table((frames, *clip[1:]), self.config.head_dim, latents.device, slowed),
            image=self._embed_image(conditioning.image_embeds),
            vace=self._embed_vace(conditioning),
            vace_scale=conditioning.vace_scale,
            front=front,
            camera_path=self._embed_path(conditioning.camera_path),
            memory=self.memory if self.memory and self.memory.keeps_keys else None,
            skipped=adjustments.skipped,
            opposed=self._embed_opposed(adjustments.nag),
            enhance=adjustments.enhance,
        )
        return tokens, context

    def run_blocks(
        self,
        tokens: Tensor,
        context: DiTContext,
        part: slice = slice(None),
        hints: Iterator[Tensor] | None = None,
    ) -> Tensor:
        """(B, L, D), float32 -> the same, through every block; VACE hints join after theirs (spec 2).

        Whoever runs the blocks in parts hands the ``hints`` of the embedded tokens on from one to the next.
        """
        steered = () if context.vace is None else self.config.vace_layers
        hints = self.hints(tokens, context) if hints is None else hints
        for number in range(len(self.blocks))[part]:
            if number not in context.skipped:
                tokens = self.blocks[number](tokens, context)
            if number in steered:
                tokens = torch.add(tokens, next(hints), alpha=context.vace_scale)
        return tokens

    def hints(self, tokens: Tensor, context: DiTContext) -> Iterator[Tensor]:
        """The VACE hints of embedded tokens, each made when it is asked for."""
        return vace_hints(self.vace_blocks, tokens, context)

    def unembed(self, tokens: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D), float32 -> velocity (B, out_dim, F, H, W), float32, of the clip's tokens alone."""
        clip = tokens.narrow(1, context.front, math.prod(context.grid))
        with torch.autocast(tokens.device.type, enabled=False):
            patches = self.head(clip.float(), context.time)
        return unpatchify(patches, context.grid, self.config.patch_size)

    def _embed_time(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) -> (B, D) and (B, 6, D), float32 (spec 1.2)."""
        with torch.autocast(timestep.device.type, enabled=False):
            time = self.time_embedding(sinusoid(timestep, self.config.freq_dim))
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

    def _embed_opposed(self, nag: Nag | None) -> Opposed | None:
        if nag is None:
            return None
        return Opposed(nag, *recalled(self.memory, nag.prompt_embeds, self, self._embed_text))

    def _embed_image(self, image_embeds: Tensor | None) -> Tensor | None:
        """(B, N, image_dim) -> (B, N, D) in compute dtype; None in a model that attends to no picture."""
        if self.img_emb is None:
            return None
        return recalled(self.memory, image_embeds, self, self.img_emb)

    def _embed_latents(self, latents: Tensor, conditioning: DiTConditioning) -> Tensor:
        """(B, out_dim, F, H, W) -> (B, L, D), float32, of the clip and of what is joined to it."""
        if conditioning.channel_latents is not None:
            latents = torch.cat([latents, conditioning.channel_latents], dim=1)
        if conditioning.frame_latents is not None:
            latents = torch.cat([latents, conditioning.frame_latents], dim=2)
        tokens = self.patch_embedding(latents).float()
        if conditioning.camera is not None:
            tokens = tokens + self.control_adapter(conditioning.camera)
        return tokens

    def _embed_reference(self, reference: Tensor | None, latents: Tensor) -> Tensor:
        """(B, reference_dim, H, W) -> (B, one frame of tokens, D), float32; none is a picture of zeros.

        The zeros are what PAI's own code gives a model that was always shown a reference in training.
        """
        if reference is None:
            batch, _, _, height, width = latents.shape
            reference = latents.new_zeros(batch, self.config.reference_dim, height, width)
        tokens = self.ref_conv(reference.to(self.ref_conv.weight.dtype))
        return tokens.flatten(2).transpose(1, 2).float()

    def _embed_vace(self, conditioning: DiTConditioning) -> Tensor | None:
        """(B, vace_in_dim, F, H, W) -> (B, L, D) in compute dtype; None where it would change nothing."""
        if conditioning.vace_latents is None or conditioning.vace_scale == 0:
            return None
        return self.vace_patch_embedding(conditioning.vace_latents)

    def _embed_path(self, path: Tensor | None) -> Tensor | None:
        """(B, F, camera_path_dim) -> (B, 2 F, camera_path_dim) in compute dtype: clip, then source.

        ReCamMaster tells the frames of its source the poses of the new camera, too.
        """
        return None if path is None else path.to(self.patch_embedding.weight.dtype).repeat(1, 2, 1)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Fill every parameter for training from scratch; the model then predicts zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
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

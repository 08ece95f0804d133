"""What guides a DiT besides the prompt."""

# B batch, F latent frames, H W latent grid, N image rows

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wan_core.models.dit.config import DiTConfig


@dataclass(frozen=True)
class DiTConditioning:
    """Inputs of the models that see more than text; a model gets those of its kind and no others.

    Attributes:
        channel_latents: (B, in_dim - out_dim, F, H, W), joined to the noisy latents on channels
            (i2v, flf2v: mask, then the latents of the pictures; spec 7).
        image_embeds: (B, N, image_dim) of the CLIP image encoder; of two pictures the rows of the
            first come first (spec 1.8).
        vace_latents: (B, vace_in_dim, F, H, W), the VACE context (spec 8).
        vace_scale: weight of the VACE hints; 0 ignores the context.
    """

    channel_latents: Tensor | None = None
    image_embeds: Tensor | None = None
    vace_latents: Tensor | None = None
    vace_scale: float = 1.0

    def check(self, config: DiTConfig) -> None:
        """Assert that a model of ``config`` is given what it reads; whoever calls it is to see to that."""
        given = {
            "channel_latents": self.channel_latents is not None,
            "image_embeds": self.image_embeds is not None,
            "vace_latents": self.vace_latents is not None,
        }
        read = {
            "channel_latents": config.in_dim > config.out_dim,
            "image_embeds": config.image_dim > 0,
            "vace_latents": bool(config.vace_layers),
        }
        assert given == read, f"a {config.kind} model reads {read}, but was given {given}"


UNCONDITIONED = DiTConditioning()
"""What text to video gets."""

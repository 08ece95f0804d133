"""What guides a DiT besides the prompt."""

# B batch, F latent frames, H W latent grid, N image rows, R further latent frames, D width

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from torch import Tensor

from wan_core.models.dit.adjusting import PLAIN, Adjustments
from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig

Need = Literal["required", "optional"]


@dataclass(frozen=True)
class DiTConditioning:
    """Inputs of the models that see more than text; ``read_by`` says which a model reads.

    All are on the device of the latents and of their dtype, float32 in this program; None is absent.

    Attributes:
        channel_latents: (B, in_dim - out_dim, F, H, W), joined to the noisy latents on channels
            (i2v, flf2v: mask, then the latents of the pictures, spec 7; control: the control video,
            then the picture; camera: the picture).
        image_embeds: (B, N, image_dim) of the CLIP image encoder; of two pictures the rows of the
            first come first (spec 1.8).
        vace_latents: (B, vace_in_dim, F, H, W), the VACE context (spec 8); without it the model is
            its text-to-video base.
        vace_scale: weight of the VACE hints; 0 ignores the context.
        reference_latents: (B, reference_dim, H, W) of a picture that stands before the clip.
        frame_latents: (B, out_dim, R, H, W), clean latents that stand after the clip: references, or
            the R = F latents of the video to be rendered again.
        camera: (B, camera_dim, F, 8 H, 8 W), the rays of a camera, four frames in each latent frame's
            channels (diffsynth 2); without it the camera is free.
        camera_path: (B, F, camera_path_dim), pose of the new camera in each latent frame.
        motion: (B, 6, D), of a ``MotionController``, added to the modulation of the blocks.
        adjustments: what is done differently from a plain pass.
    """

    channel_latents: Tensor | None = None
    image_embeds: Tensor | None = None
    vace_latents: Tensor | None = None
    vace_scale: float = 1.0
    reference_latents: Tensor | None = None
    frame_latents: Tensor | None = None
    camera: Tensor | None = None
    camera_path: Tensor | None = None
    motion: Tensor | None = None
    adjustments: Adjustments = PLAIN

    @property
    def appended(self) -> int:
        """How many latent frames stand after the clip."""
        return 0 if self.frame_latents is None else self.frame_latents.shape[2]

    def check(self, config: DiTConfig, latents: Tensor) -> None:
        """Assert that a model of ``config`` is given what it reads; whoever calls it is to see to that.

        Args:
            config: sizes of the model.
            latents: (B, out_dim, F, H, W), the noisy latents that these inputs belong to.
        """
        given = {name for name in _FIELDS if getattr(self, name) is not None}
        needs = read_by(config)
        required = {name for name, need in needs.items() if need == "required"}
        assert required <= given <= needs.keys(), (
            f"a {config.kind} model reads {needs}, but was given {sorted(given)}"
        )
        for name in given:
            tensor, shape = getattr(self, name), _shape(name, config, latents)
            fits = len(shape) == tensor.ndim and all(
                size in (None, found) for size, found in zip(shape, tensor.shape, strict=True)
            )
            assert fits, f"{name} is {tuple(tensor.shape)}, not {shape}"
            assert (tensor.device, tensor.dtype) == (latents.device, latents.dtype), (
                f"{name} is {tensor.dtype} on {tensor.device}, "
                f"but the latents are {latents.dtype} on {latents.device}"
            )


UNCONDITIONED = DiTConditioning()
"""What text to video gets."""


def read_by(config: DiTConfig) -> dict[str, Need]:
    """The tensors of a ``DiTConditioning`` that a model of ``config`` reads; of no others it knows."""
    needs: dict[str, Need] = {"motion": "optional"}
    if config.in_dim > config.out_dim:
        needs["channel_latents"] = "required"
    if config.camera_path_dim:
        needs |= {"frame_latents": "required", "camera_path": "required"}
    elif config.kind == "t2v":
        needs["frame_latents"] = "optional"
    if config.image_dim:
        needs["image_embeds"] = "required"
    if config.vace_layers:
        needs["vace_latents"] = "optional"
    if config.reference_dim:
        needs["reference_latents"] = "optional"
    if config.camera_dim:
        needs["camera"] = "optional"
    return needs


_NO_TENSORS = ("vace_scale", "adjustments")
_FIELDS = tuple(field.name for field in fields(DiTConditioning) if field.name not in _NO_TENSORS)


def _shape(name: str, config: DiTConfig, latents: Tensor) -> tuple[int | None, ...]:
    """The shape that an input must have; None where any size will do."""
    batch, _, *grid = latents.shape
    frames, height, width = grid
    shapes: dict[str, tuple[int | None, ...]] = {
        "channel_latents": (batch, config.in_dim - config.out_dim, *grid),
        "image_embeds": (batch, config.image_positions or None, config.image_dim),
        "vace_latents": (batch, config.vace_in_dim, *grid),
        "reference_latents": (batch, config.reference_dim, height, width),
        "frame_latents": (batch, config.out_dim, frames if config.camera_path_dim else None, height, width),
        "camera": (batch, config.camera_dim, frames, PIXELS_PER_CELL * height, PIXELS_PER_CELL * width),
        "camera_path": (batch, frames, config.camera_path_dim),
        "motion": (batch, 6, config.dim),
    }
    return shapes[name]

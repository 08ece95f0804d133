"""What a conditioner is given and what it makes."""

# F latent frames, H W latent grid

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wan_core.catalog import ModelSpec
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.pipelines.components import ComponentSource
from wan_core.schema import Emit, GenerationRequest
from wan_core.schema.compiling import CompileMode

if TYPE_CHECKING:
    from wan_core.media.inputs import InputStore
    from wan_core.pipelines.checkpoint import StepCheckpoint


@dataclass(frozen=True)
class Conditioning:
    """Everything besides the prompt that decides a clip.

    Attributes:
        dit: read by the pass with the prompt.
        null: read by the pass with the negative prompt; None is the same as ``dit``.
        bare: read by a third pass, with the negative prompt, where references have a guidance of their
            own (Phantom); None where there is no third pass.
        idle: read instead of ``dit`` and ``null`` in the steps outside the control's part; None where
            the control cannot be left out.
        start: (1, C, F, H, W), float32, clean latents that denoising begins from; None is pure noise.
        keep: (1, 1, F, H, W), float32, 1 where ``start`` is made anew and 0 where it stays.
        front_frames: latent frames before the clip that are denoised with it and cut off after.
        followed_channels: how many of the first channels that are joined to the latents are followed frame by
            frame; the others hold the pictures that a clip begins and ends with.
    """

    dit: DiTConditioning = UNCONDITIONED
    null: DiTConditioning | None = None
    bare: DiTConditioning | None = None
    idle: DiTConditioning | None = None
    start: Tensor | None = None
    keep: Tensor | None = None
    front_frames: int = 0
    followed_channels: int = 0

    def to(self, device: torch.device, leaving: Collection[str] = ()) -> Conditioning:
        """The same on another device; what the passes share is moved once.

        What the model reads under the names of ``leaving`` stays where it is.
        """
        moved: dict[int, Tensor] = {}

        def move(value: object) -> object:
            if isinstance(value, Tensor):
                if id(value) not in moved:
                    moved[id(value)] = value.to(device)
                return moved[id(value)]
            if isinstance(value, Conditioning | DiTConditioning):
                fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
                return type(value)(
                    **{name: part if name in leaving else move(part) for name, part in fields.items()}
                )
            return value

        return move(self)


@dataclass(frozen=True)
class ConditioningJob:
    """What a conditioner works with; ``request`` is settled: its size and length are the clip's own.

    ``vae_tile`` is the side in pixels of the tiles that media are encoded in; None is whole pictures.
    ``compiles``: how the transformer's blocks are compiled. ``merges``: the passes of a step run as one batch
    where they can. ``measured`` is the folder of what earlier runs have measured of models, if there is one.
    ``checkpoint``: where the run keeps how far it has come, if it does.
    ``notes`` takes the sentences that a stage has for the result.
    """

    source: ComponentSource
    spec: ModelSpec
    request: GenerationRequest
    inputs: InputStore
    emit: Emit
    vae_tile: int | None = None
    compiles: CompileMode = "off"
    merges: bool = False
    measured: Path | None = None
    checkpoint: StepCheckpoint | None = None
    notes: list[str] = field(default_factory=list)


Conditioner = Callable[[ConditioningJob], Conditioning]
"""Turns the media of a request into conditioning; tensors on the CPU.

Raises ``MediaError`` for media that cannot be used, ``InvalidRequest`` for what does not fit together.
"""

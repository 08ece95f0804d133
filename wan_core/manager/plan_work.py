"""The stages of a job and the device memory that each takes beside weights. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wan_core.acceleration.levels import kept_bytes
from wan_core.acceleration.windows import kept_windows, seen_at_once
from wan_core.catalog import ModelSpec, Role
from wan_core.manager.device_kinds import PLAIN_BYTES
from wan_core.manager.weight_bytes import part_numbers
from wan_core.models.vae.config import SPATIAL_STRIDE, decoding_bytes, encoding_bytes, latent_frames
from wan_core.schema import GenerationRequest
from wan_core.schema.inputs import MEDIA_FIELDS
from wan_core.schema.schemes import SCHEMES
from wan_core.schema.windows import WindowOptions

MIB = 2**20

TEXT_BYTES = 256 * MIB
"""Of 512 tokens: 96 MiB, counted on tensors (``benchmarks/memory.py``), and 80 of an unpacked matrix."""

PICTURE_BYTES = 64 * MIB
"""Of one picture: 9 MiB, counted likewise, and what the libraries take."""

# Latents, embeddings and the schedule's history, and what cuBLAS takes
_STEP_BYTES = 128 * MIB
_LATENTS_HELD = 10  # copies of a whole clip's latents in a step: their noise, velocity, history ...
_FLOAT32 = 4
_UNSTEERED = ("text", "motion")


@dataclass(frozen=True)
class Stage:
    """A stage: its name for people, the part that it borrows, and the bytes of its work."""

    name: str
    role: Role
    working: int


@dataclass(frozen=True)
class Clip:
    """What decides the amount of work: pixels, frames, how many passes a step has, what is kept of them.

    ``at_once`` is how many of the passes run as one batch. ``windows``, settled, are what the transformer
    sees of the clip at a time.
    """

    width: int
    height: int
    num_frames: int
    passes: int
    front: int
    appended: int
    encodes: bool
    step_cache: str = "off"
    at_once: int = 1
    windows: WindowOptions | None = None

    @classmethod
    def of(cls, spec: ModelSpec, request: GenerationRequest) -> Clip:
        """The clip of a request; what it leaves open is the model's default."""
        filled = {
            name: getattr(spec.defaults, name) if getattr(request, name) is None else getattr(request, name)
            for name in ("width", "height", "num_frames", "guidance_scale")
        }
        takes = spec.inputs.get(request.task)
        conditioner = takes.conditioner if takes else "text"
        media = any(getattr(request, name) for name in MEDIA_FIELDS)
        references = len(request.references) or (1 if takes and "references" in takes.required else 0)
        two_guidances = takes is not None and "reference_guidance_scale" in takes.taken
        return cls(
            width=filled["width"],
            height=filled["height"],
            num_frames=1 if request.task == "t2i" else filled["num_frames"],
            passes=(3 if two_guidances else 1 + request.guides(filled["guidance_scale"]))
            + request.third_pass,
            front=references if conditioner == "vace" else 0,
            appended=references if conditioner == "phantom" else 0,
            encodes=media or conditioner not in _UNSTEERED,
            step_cache=request.step_cache,
            windows=request.windows and request.windows.settled(spec.defaults.num_frames),
        )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, height and width that are denoised."""
        frames = latent_frames(self.num_frames) + self.front
        return frames, self.height // SPATIAL_STRIDE, self.width // SPATIAL_STRIDE

    @property
    def seen(self) -> tuple[int, int, int]:
        """The same of what the transformer sees at a time."""
        frames, height, width = self.grid
        return self.front + seen_at_once(self.windows, frames - self.front), height, width

    @property
    def kept_windows(self) -> int:
        """For how many windows a step cache keeps something."""
        return kept_windows(self.windows, latent_frames(self.num_frames))


def denoising_bytes(spec: ModelSpec, clip: Clip, scheme: str, plain: str) -> int:
    """Work of a call of the transformer, with room for a matrix that is unpacked while it is used."""
    unpacked = 0
    if not SCHEMES[scheme].plain:
        blocks = part_numbers(spec, Role.TRANSFORMER).blocks
        unpacked = 2 * PLAIN_BYTES[plain] * max(piece.largest for block in blocks for piece in block)
    itemsize = PLAIN_BYTES[plain]
    work = clip.at_once * spec.dit.working_bytes(*clip.seen, clip.appended, itemsize)
    numbers = spec.dit.tokens(*clip.seen, clip.appended) * spec.dit.dim * clip.kept_windows
    work += kept_bytes(clip.step_cache, numbers, clip.passes, itemsize)
    beyond = math.prod(clip.grid) - math.prod(clip.seen)
    return work + unpacked + _STEP_BYTES + _LATENTS_HELD * _FLOAT32 * spec.dit.out_dim * beyond


def vae_bytes(spec: ModelSpec, clip: Clip, decoding: bool, tile: int | None) -> int:
    """Work of the VAE on the whole picture, or on a tile of it."""
    count = decoding_bytes if decoding else encoding_bytes
    return count(spec.vae, clip.width, clip.height, tile)


def stages(spec: ModelSpec, clip: Clip, scheme: str, plain: str, tile: int | None) -> tuple[Stage, ...]:
    """The stages of a job in order, on a device that computes in ``plain``."""
    found = [Stage("read the prompt", Role.TEXT_ENCODER, TEXT_BYTES)]
    if clip.encodes and spec.image_encoder is not None:
        found.append(Stage("see the picture", Role.IMAGE_ENCODER, PICTURE_BYTES))
    if clip.encodes:
        found.append(Stage("encode", Role.VAE, vae_bytes(spec, clip, False, tile)))
    if Role.MOTION_CONTROLLER in spec.weights:
        found.append(Stage("read the motion", Role.MOTION_CONTROLLER, MIB))
    found.append(Stage("denoise", Role.TRANSFORMER, denoising_bytes(spec, clip, scheme, plain)))
    found.append(Stage("decode", Role.VAE, vae_bytes(spec, clip, True, tile)))
    return tuple(found)

"""The latents of a clip: their shape, their noise, and their file.

Shape legend: C channels, F latent frames, H W latent grid (1/8 of the pixels).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wan_core.catalog import ModelSpec
from wan_core.media.atomic import whole_file
from wan_core.models.vae.config import SPATIAL_STRIDE, latent_frames
from wan_core.pipelines.windows import freely_shuffled
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError

LATENTS_KEPT = 2 * 2**30  # bytes of finished latents and of checkpoints; the oldest go first

_KEY = "latents"
_REQUEST = "request"


def latent_shape(spec: ModelSpec, request: GenerationRequest) -> tuple[int, int, int, int, int]:
    """(1, C, F, H, W) of a resolved request."""
    return (
        1,
        spec.dit.out_dim,
        latent_frames(request.num_frames),
        request.height // SPATIAL_STRIDE,
        request.width // SPATIAL_STRIDE,
    )


def make_generator(request: GenerationRequest) -> torch.Generator:
    """The one source of chance of a job: a CPU generator with the request's seed.

    On the CPU, so that a seed means the same video on every device. (The official script draws on the
    GPU, spec 6; its seeds differ from ours.)
    """
    return torch.Generator("cpu").manual_seed(request.seed)


def prepare_noise(
    spec: ModelSpec, request: GenerationRequest, generator: torch.Generator, front_frames: int = 0
) -> Tensor:
    """Gaussian noise (1, C, front_frames + F, H, W), float32, on the CPU: the generator's first numbers.

    That of later windows is that of the first in other orders, where the request wants it so.
    """
    batch, channels, frames, *grid = latent_shape(spec, request)
    shape = (batch, channels, front_frames + frames, *grid)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)
    if request.windows is None or not request.windows.freenoise:
        return noise
    return freely_shuffled(noise, request.windows, request.seed, front_frames)


def save_latents(latents: Tensor, path: Path, request: GenerationRequest) -> None:
    """Keep finished latents and their request, so that a failure to decode costs no denoising.

    Raises:
        MediaError: the disk refuses.
    """
    data = save({_KEY: latents.float().cpu().contiguous()}, {_REQUEST: request.model_dump_json()})
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise MediaError(f"The latents {path.name} could not be saved ({error.strerror}).") from error


def prune_latents(folder: Path, limit: int) -> None:
    """Remove the oldest latents until the rest take at most ``limit`` bytes; the newest always stays."""
    files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    sizes = [path.stat().st_size for path in files]
    for position, path in enumerate(files[:-1]):
        if sum(sizes[position:]) <= limit:
            return
        path.unlink(missing_ok=True)


def load_latents(path: Path) -> tuple[Tensor, GenerationRequest]:
    """Latents (1, C, F, H, W) and the request that they came from.

    Raises:
        MediaError: the file is missing, damaged, or not one of ``save_latents``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            request = json.loads((file.metadata() or {})[_REQUEST])
            return file.get_tensor(_KEY), GenerationRequest.parse(request)
    except (OSError, SafetensorError, KeyError, ValueError, InvalidRequest) as error:
        raise MediaError(
            f"{path.name} holds no latents of this studio; give a file of its latents folder."
        ) from error

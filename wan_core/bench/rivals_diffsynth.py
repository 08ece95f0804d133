"""DiffSynth-Studio's models with our weights, called as its pipeline calls them.

It is needed for nothing else in this program, and only when it is asked for. Only what computes is imported:
what downloads, reads training data and looks at pictures wants packages that would bring another torch, so
something empty stands in for that meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from safetensors.torch import save_file
from torch import Tensor, nn

from wan_core.bench.rivals import DiTCall, TextCall, read_pages
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import infer_config, to_official_keys
from wan_core.models.vae.model import WanVAE

_LEFT_OUT = (
    "diffsynth.core.data",
    "diffsynth.core.loader.config",
    "diffsynth.models.wan_video_image_encoder",
)
_FILE = "model.safetensors"


@dataclass(frozen=True)
class _Studio:
    """What is taken of the package."""

    load_model: Callable[..., nn.Module]
    transformer: type[nn.Module]
    vae: type[nn.Module]
    text_encoder: type[nn.Module]
    predict: Callable[..., Tensor]


class _Nothing:
    """Whatever is wanted of a module that is left out."""

    def __init__(self, *args: object, **options: object) -> None:
        del args, options


class _StandIn(ModuleType):
    """In place of a module that is left out."""

    def __getattr__(self, name: str) -> type[_Nothing]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing


@contextmanager
def _computing_alone() -> Iterator[None]:
    """While the package is imported, what does not compute is left out."""
    standing_in = {name: _StandIn(name) for name in _LEFT_OUT if name not in sys.modules}
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        for name in standing_in:
            sys.modules.pop(name, None)


@cache
def _studio() -> _Studio:
    with _computing_alone():
        from diffsynth.core.loader.model import load_model
        from diffsynth.models.wan_video_dit import WanModel
        from diffsynth.models.wan_video_text_encoder import WanTextEncoder
        from diffsynth.models.wan_video_vae import WanVideoVAE
        from diffsynth.pipelines.wan_video import model_fn_wan_video
    return _Studio(load_model, WanModel, WanVideoVAE, WanTextEncoder, model_fn_wan_video)


def dit_call(dit: WanDiT, compiled: bool = False) -> DiTCall:
    """Its transformer, all of it in one precision; ``compiled`` block by block, as its pipeline does it."""
    studio, weight = _studio(), dit.patch_embedding.weight
    sizes, state = _sizes(dit.config), dit.state_dict()
    rival = studio.load_model(studio.transformer, None, sizes, weight.dtype, weight.device, state_dict=state)
    rival.requires_grad_(False)
    if compiled:
        for block in rival.blocks:
            block.compile(dynamic=True)

    def call(latents: Tensor, timestep: Tensor, prompt: Tensor) -> Tensor:
        times = timestep.to(weight.dtype)
        return studio.predict(dit=rival, latents=latents, timestep=times, context=prompt)

    return call


def _sizes(config: DiTConfig) -> dict[str, object]:
    return {
        "dim": config.dim,
        "in_dim": config.in_dim,
        "ffn_dim": config.ffn_dim,
        "out_dim": config.out_dim,
        "text_dim": config.text_dim,
        "freq_dim": config.freq_dim,
        "eps": config.eps,
        "patch_size": config.patch_size,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "has_image_input": False,
    }


def decoding(vae: WanVAE, compiled: bool = False) -> Callable[[Tensor], Tensor]:
    """Its VAE: latents as the transformer makes them -> frames; ``compiled``: its decoder."""
    studio, weight = _studio(), vae.conv2.weight
    state = {f"model.{name}": tensor for name, tensor in vae.state_dict().items()}
    rival = studio.load_model(studio.vae, None, None, weight.dtype, weight.device, state_dict=state)
    if compiled:
        rival.model.decoder.compile(dynamic=True)
    return lambda latents: rival.decode(latents, weight.device)


def text_call(encoder: nn.Module, compiled: bool = False) -> TextCall:
    """Its text encoder, compiled as its pipeline does it."""
    studio, state = _studio(), to_official_keys(encoder.state_dict())
    config = infer_config({name: tuple(tensor.shape) for name, tensor in state.items()})
    sizes = {
        "vocab": config.vocab_size,
        "dim": config.dim,
        "dim_attn": config.dim_attn,
        "dim_ffn": config.dim_ffn,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "num_buckets": config.num_buckets,
    }
    table = state["token_embedding.weight"]
    rival = studio.load_model(studio.text_encoder, None, sizes, table.dtype, table.device, state_dict=state)
    rival.requires_grad_(False)
    if compiled:
        rival.compile(dynamic=True)
    return lambda ids, mask: rival(ids, mask)


def save_rival(dit: WanDiT, folder: Path) -> Callable[[], object]:
    """Write a transformer as it is published; what loads it again, in the way of its pipeline."""
    studio, dtype, sizes = _studio(), dit.patch_embedding.weight.dtype, _sizes(dit.config)
    folder.mkdir()
    save_file(dit.state_dict(), path := folder / _FILE)

    def load() -> None:
        made = studio.load_model(studio.transformer, str(path), sizes, dtype, "cpu", use_disk_map=True)
        read_pages(made.state_dict())

    return load

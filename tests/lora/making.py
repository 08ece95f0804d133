"""LoRA files made by hand for a tiny DiT, and what they change, computed without the code under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tests.models.randomise import randomise
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.wearing import wearing
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.schema.lora import LoraUse

CONFIG = DiTConfig(dim=48, ffn_dim=96, num_heads=4, num_layers=2, text_dim=32, freq_dim=16)
RANK = 4

Tensors = dict[str, Tensor]


def tiny_dit(config: DiTConfig = CONFIG) -> WanDiT:
    with torch.device("cpu"):
        return randomise(WanDiT(config)).requires_grad_(False).eval()


def noise(*shape: int, seed: int = 1, size: float = 0.2) -> Tensor:
    return size * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def velocity(model: WanDiT, channels: Tensor | None = None) -> Tensor:
    """What the model says about fixed latents and a fixed prompt."""
    given = DiTConditioning(channel_latents=channels)
    if model.config.image_dim:
        given = DiTConditioning(channel_latents=channels, image_embeds=noise(1, 7, model.config.image_dim))
    with torch.inference_mode():
        return model(noise(1, 16, 2, 4, 4, size=1.0), torch.tensor([500.0]), noise(1, 3, 32), given)


def use(**values: object) -> LoraUse:
    return LoraUse(**{"file": "test.safetensors", **values})


def velocity_wearing(model: WanDiT, *files: tuple[Tensors, LoraUse], step: int = 0) -> Tensor:
    fits = [fit(Lora(used, tensors), model) for tensors, used in files]
    with wearing(model, fits) as worn:
        worn.begin_step(step)
        return velocity(model)


def changed_by_hand(model: WanDiT, deltas: Mapping[str, Tensor]) -> WanDiT:
    """A copy of the model whose parameters of these names have these added."""
    copy = WanDiT(model.config).requires_grad_(False).eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, delta in deltas.items():
        state[name] += delta.reshape(state[name].shape)
    copy.load_state_dict(state)
    return copy


def shapes_of(model: WanDiT, *paths: str) -> dict[str, tuple[int, ...]]:
    state = model.state_dict()
    return {path: tuple(state[f"{path}.weight"].shape) for path in paths}


def low_rank(
    model: WanDiT, paths: tuple[str, ...], name: Callable[[str], str], words: tuple[str, str, str | None]
) -> tuple[Tensors, Tensors]:
    """(the file, what it adds to each weight) for LoRA matrices; ``words`` are down, up and alpha's."""
    tensors, deltas = {}, {}
    down_word, up_word, alpha_word = words
    for seed, (path, shape) in enumerate(shapes_of(model, *paths).items(), 2):
        down, up = noise(RANK, *shape[1:], seed=seed), noise(shape[0], RANK, seed=seed + 100)
        tensors[f"{name(path)}.{down_word}"] = down
        tensors[f"{name(path)}.{up_word}"] = up.reshape(shape[0], RANK, *[1] * (len(shape) - 2))
        scale = 1.0
        if alpha_word:
            tensors[f"{name(path)}.{alpha_word}"] = torch.tensor(2.0)
            scale = 2.0 / RANK
        deltas[f"{path}.weight"] = scale * (up @ down.flatten(1))
    return tensors, deltas

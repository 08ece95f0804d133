"""LoRAs that PEFT makes, and what diffusers makes of Comfy's: both compute what ours does."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.loaders.lora_conversion_utils import (
    _convert_musubi_wan_lora_to_diffusers,
    _convert_non_diffusers_wan_lora_to_diffusers,
)
from torch import Tensor, nn

from tests.lora.making import CONFIG, Tensors, low_rank, noise, tiny_dit, use
from tests.models.dit_oracle import full_text, plain_oracle
from wan_core.lora.card import read_scaling
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.wearing import wearing
from wan_core.models.dit.model import WanDiT

INSIDE = (*(f"{kind}.{name}" for kind in ("self_attn", "cross_attn") for name in "qkvo"), "ffn.0", "ffn.2")
PATHS = tuple(f"blocks.{number}.{name}" for number in range(CONFIG.num_layers) for name in INSIDE)
TARGETS = ["attn1.to_q", "attn2.to_out.0", "ffn.net.0.proj", "ffn.net.2"]
TEXT_ROWS = 8

LATENTS, TIME, PROMPT = noise(1, 16, 2, 4, 4, size=1.0), torch.tensor([500.0]), noise(1, 3, 32)


def oracle_of(model: WanDiT) -> WanTransformer3DModel:
    return plain_oracle(model)


def their_velocity(oracle: nn.Module, model: WanDiT) -> Tensor:
    with torch.no_grad():
        return oracle(LATENTS, TIME, full_text(model.config, PROMPT), return_dict=False)[0]


def our_velocity(model: WanDiT, lora: Lora) -> tuple[Tensor, int]:
    """With the LoRA on the model, and how many parts of it fit."""
    found = fit(lora, model)
    assert dict(found.report.unmatched) == {}
    with torch.no_grad(), wearing(model, [found]):
        return model(LATENTS, TIME, PROMPT), found.report.matched


def model() -> WanDiT:
    return tiny_dit(dataclasses.replace(CONFIG, text_len=TEXT_ROWS))


@pytest.mark.parametrize(
    ("convert", "name", "words"),
    [
        (
            _convert_non_diffusers_wan_lora_to_diffusers,
            lambda path: f"diffusion_model.{path}",
            ("lora_down.weight", "lora_up.weight", "alpha"),
        ),
        (
            _convert_musubi_wan_lora_to_diffusers,
            lambda path: "lora_unet_" + path.replace(".", "_"),
            ("lora_down.weight", "lora_up.weight", "alpha"),
        ),
    ],
    ids=["ComfyUI", "musubi"],
)
def test_diffusers_converts_to_what_we_read(convert, name, words) -> None:
    """Its converted matrices, multiplied into the oracle's weights by hand."""
    dit = model()
    tensors, _ = low_rank(dit, PATHS, name, words)
    oracle = oracle_of(dit)
    state = oracle.state_dict()
    converted = convert(copy.deepcopy(tensors))  # it scales tensors in place
    for key in [key for key in converted if key.endswith("lora_A.weight")]:
        path = key.removeprefix("transformer.").removesuffix(".lora_A.weight")
        state[f"{path}.weight"] += converted[f"transformer.{path}.lora_B.weight"] @ converted[key]
    oracle.load_state_dict(state)
    found, matched = our_velocity(dit, Lora(use(), tensors))
    assert matched == len(PATHS)
    torch.testing.assert_close(found, their_velocity(oracle, dit), atol=1e-5, rtol=1e-5)


def randomised(adapted: nn.Module) -> None:
    """PEFT begins with no change at all; give every adapter tensor numbers."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "magnitude" in name:
            parameter.data *= 1 + 0.3 * torch.rand(parameter.shape, generator=generator)
        elif any(word in name for word in ("lora_", "hada_", "lokr_")):
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)


def peft_configs() -> dict[str, object]:
    peft = pytest.importorskip("peft")
    plain = {"target_modules": TARGETS}
    return {
        "lora": peft.LoraConfig(r=4, lora_alpha=6, **plain),
        "rslora": peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, **plain),
        "alpha of a part": peft.LoraConfig(r=4, lora_alpha=6, alpha_pattern={"ffn.net.2": 1}, **plain),
        "bias": peft.LoraConfig(r=4, lora_alpha=6, lora_bias=True, **plain),
        "dora": peft.LoraConfig(r=4, lora_alpha=6, use_dora=True, **plain),
        "loha": peft.LoHaConfig(r=4, alpha=6, **plain),
        "lokr": peft.LoKrConfig(r=2, alpha=6, **plain),
        "lokr, decomposed": peft.LoKrConfig(r=2, alpha=6, decompose_both=True, **plain),
    }


@pytest.mark.parametrize(
    "kind", ["lora", "rslora", "alpha of a part", "bias", "dora", "loha", "lokr", "lokr, decomposed"]
)
def test_what_peft_makes_is_read(kind: str) -> None:
    peft = pytest.importorskip("peft")
    config, dit = peft_configs()[kind], model()
    adapted = peft.get_peft_model(oracle_of(dit), config).eval()
    randomised(adapted)
    tensors: Tensors = {
        name: tensor.detach().clone() for name, tensor in peft.get_peft_model_state_dict(adapted).items()
    }
    text = json.dumps({key: value for key, value in config.to_dict().items() if _is_plain(value)})
    found, matched = our_velocity(dit, Lora(use(), tensors, read_scaling({}, text)))
    assert matched == len(TARGETS) * dit.config.num_layers
    wanted = their_velocity(adapted, dit)
    assert (wanted - their_velocity(oracle_of(dit), dit)).abs().max() > 1e-2
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool | dict | None)


def test_a_file_that_diffusers_writes_is_read() -> None:
    """``save_lora_adapter`` keeps PEFT's alpha in the metadata."""
    peft = pytest.importorskip("peft")
    dit = model()
    oracle = oracle_of(dit)
    oracle.add_adapter(peft.LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS))
    randomised(oracle)
    tensors = peft.get_peft_model_state_dict(oracle)
    told = {f"transformer.{key}": value for key, value in {"r": 4, "lora_alpha": 6}.items()}
    named = {f"transformer.{name}": tensor.detach() for name, tensor in tensors.items()}
    scaling = read_scaling({"lora_adapter_metadata": json.dumps(told)})
    found, _ = our_velocity(dit, Lora(use(), named, scaling))
    torch.testing.assert_close(found, their_velocity(oracle, dit), atol=1e-5, rtol=1e-5)

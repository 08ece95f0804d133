"""Every format of LoRA file, on a tiny DiT: what is worn is what the weights with the change compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.lora.making import (
    RANK,
    Tensors,
    changed_by_hand,
    low_rank,
    noise,
    tiny_dit,
    use,
    velocity,
    velocity_wearing,
)
from tests.models.dit_oracle import _oracle_name
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.names import diffusers, read_key

PATHS = (
    "patch_embedding",
    "text_embedding.2",
    "time_projection.1",
    "blocks.0.self_attn.q",
    "blocks.1.cross_attn.o",
    "blocks.0.ffn.0",
    "blocks.1.ffn.2",
    "head.head",
)


def theirs(path: str) -> str:
    """As diffusers calls it, by the test's own table."""
    return _oracle_name(f"{path}.weight").removesuffix(".weight")


AB = ("lora_A.weight", "lora_B.weight", None)
DOWN_UP = ("lora_down.weight", "lora_up.weight", "alpha")
FORMATS: dict[str, tuple[Callable[[str], str], tuple[str, str, str | None], str]] = {
    "ComfyUI": (lambda path: f"diffusion_model.{path}", DOWN_UP, "ComfyUI"),
    "ComfyUI, A and B": (lambda path: f"diffusion_model.{path}", AB, "ComfyUI"),
    "bare": (lambda path: path, AB, "official names"),
    "DiffSynth": (
        lambda path: path,
        ("lora_A.default.weight", "lora_B.default.weight", None),
        "official names",
    ),
    "UniAnimate": (lambda path: f"pipe.dit.{path}", AB, "DiffSynth"),
    "diffusers": (lambda path: f"transformer.{theirs(path)}", AB, "diffusers"),
    "PEFT": (lambda path: f"base_model.model.{path}", AB, "PEFT"),
    "PEFT on diffusers": (lambda path: f"base_model.model.{theirs(path)}", AB, "PEFT"),
    "musubi": (lambda path: "lora_unet_" + path.replace(".", "_"), DOWN_UP, "kohya"),
    "Fun": (lambda path: "lora_unet__" + path.replace(".", "_"), DOWN_UP, "VideoX-Fun"),
    "lycoris": (lambda path: "lycoris_" + path.replace(".", "_"), DOWN_UP, "LyCORIS"),
    "kohya on diffusers": (lambda path: "lora_unet_" + theirs(path).replace(".", "_"), DOWN_UP, "kohya"),
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_format_is_read_whole(format: str) -> None:
    name, words, title = FORMATS[format]
    model = tiny_dit()
    tensors, deltas = low_rank(model, PATHS, name, words)
    report = fit(Lora(use(), tensors), model).report
    assert (report.matched, dict(report.unmatched), report.dialect) == (len(PATHS), {}, title)
    half = {path: 0.5 * delta for path, delta in deltas.items()}
    wanted = velocity(changed_by_hand(model, half))
    assert (velocity(model) - wanted).abs().max() > 1e-2
    torch.testing.assert_close(
        velocity_wearing(model, (tensors, use(strength=0.5))), wanted, atol=1e-5, rtol=1e-5
    )


def test_names_agree_with_the_oracles() -> None:
    for name in tiny_dit().state_dict():
        path = name.rpartition(".")[0] if name.endswith((".weight", ".bias")) else name
        spelled = _oracle_name(name)
        spelled = spelled.rpartition(".")[0] if spelled.endswith((".weight", ".bias")) else spelled
        assert diffusers(path) == spelled


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("a.b.lora_A.weight", ("a.b", "down")),
        ("a.b.lora_B.bias", ("a.b", "up_bias")),
        ("a.b.lora_A.default.weight", ("a.b", "down")),
        ("a.lora.up.weight", ("a", "up")),
        ("a_b.alpha", ("a_b", "alpha")),
        ("a.attn1.dora_scale", ("a.attn1", "magnitude")),
        ("a.lora_magnitude_vector.default.weight", ("a", "magnitude")),
        ("a.lora_magnitude_vector", ("a", "magnitude")),
        ("blocks.0.diff_m", ("blocks.0", "diff_m")),
        ("blocks.0.norm3.b_norm", ("blocks.0.norm3", "diff_b")),
        ("a.b1.weight", ("a", "b1")),
        ("a.b.weight", None),
        ("a.lora_A.bias", None),
        ("x" * 400 + ".alpha", None),
    ],
)
def test_keys_are_read(key: str, read: tuple[str, str] | None) -> None:
    assert read_key(key) == read


Q, FFN = "blocks.0.self_attn.q", "blocks.1.ffn.0"


def full_differences() -> tuple[Tensors, Tensors]:
    """As lightx2v, CausVid and AccVideo have them: all of a small part, biases, norms, modulation."""
    changes = {
        "blocks.0.self_attn.q.bias": ("blocks.0.self_attn.q.diff_b", (48,)),
        "blocks.0.self_attn.norm_q.weight": ("blocks.0.self_attn.norm_q.diff", (48,)),
        "blocks.1.norm3.weight": ("blocks.1.norm3.w_norm", (48,)),
        "blocks.1.norm3.bias": ("blocks.1.norm3.b_norm", (48,)),
        "blocks.1.modulation": ("blocks.1.diff_m", (1, 6, 48)),
        "head.modulation": ("head.modulation.diff", (1, 2, 48)),
        "time_projection.1.bias": ("time_projection.1.diff_b", (288,)),
        "time_embedding.0.weight": ("time_embedding.0.diff", (48, 16)),
        "patch_embedding.weight": ("patch_embedding.diff", (48, 16, 1, 2, 2)),
        "patch_embedding.bias": ("patch_embedding.diff_b", (48,)),
    }
    made = {name: noise(*shape, seed=seed) for seed, (name, (_, shape)) in enumerate(changes.items())}
    file = {f"diffusion_model.{key}": made[name] for name, (key, _) in changes.items()}
    return file, made


def bias_of_b() -> tuple[Tensors, Tensors]:
    """PEFT's lora_bias lies behind the scale, diff_b does not."""
    model = tiny_dit()
    tensors, deltas = low_rank(model, (Q,), lambda path: path, DOWN_UP)
    bias = noise(48, seed=9)
    return {**tensors, f"{Q}.lora_up.bias": bias}, {**deltas, f"{Q}.bias": bias * 2 / RANK}


def loha() -> tuple[Tensors, Tensors]:
    w1a, w1b, w2a, w2b = noise(48, 3), noise(3, 48, seed=2), noise(48, 3, seed=3), noise(3, 48, seed=4)
    file = {
        f"lycoris_blocks_0_self_attn_q.{key}": tensor * 2
        for key, tensor in (("hada_w1_a", w1a), ("hada_w1_b", w1b), ("hada_w2_a", w2a), ("hada_w2_b", w2b))
    }
    file["lycoris_blocks_0_self_attn_q.alpha"] = torch.tensor(1.5)
    return file, {f"{Q}.weight": 16 * (w1a @ w1b) * (w2a @ w2b) * 1.5 / 3}


def lokr() -> tuple[Tensors, Tensors]:
    w1, w2a, w2b = noise(4, 3, size=1.0), noise(24, 2, seed=2, size=1.0), noise(2, 16, seed=3)
    file = {"lokr_w1": w1, "lokr_w2_a": w2a, "lokr_w2_b": w2b, "alpha": torch.tensor(1.0)}
    delta = torch.kron(w1, w2a @ w2b) / 2
    return {f"lycoris_blocks_1_ffn_0.{key}": tensor for key, tensor in file.items()}, {f"{FFN}.weight": delta}


def lokr_whole() -> tuple[Tensors, Tensors]:
    """Where no factor is of low rank, alpha means nothing."""
    w1, w2 = noise(4, 3, size=1.0), noise(24, 16, seed=2)
    file = {"lokr_w1": w1, "lokr_w2": w2, "alpha": torch.tensor(7.0)}
    return {f"{FFN}.{key}": tensor for key, tensor in file.items()}, {f"{FFN}.weight": torch.kron(w1, w2)}


def glora() -> tuple[Tensors, Tensors]:
    a1, a2, b1, b2 = noise(48, 3), noise(3, 48, seed=2), noise(96, 3, seed=3), noise(3, 48, seed=4)
    weight = tiny_dit().state_dict()[f"{FFN}.weight"]
    file = {"a1.weight": a1, "a2.weight": a2, "b1.weight": b1, "b2.weight": b2, "alpha": torch.tensor(6.0)}
    delta = 2 * (weight @ a1 @ a2 + b1 @ b2)
    return {f"lycoris_blocks_1_ffn_0.{key}": tensor for key, tensor in file.items()}, {f"{FFN}.weight": delta}


def dora() -> tuple[Tensors, Tensors]:
    """Rows of W + s BA brought to the lengths in the file."""
    model = tiny_dit()
    tensors, deltas = low_rank(model, (FFN,), lambda path: path, DOWN_UP)
    weight, lengths = model.state_dict()[f"{FFN}.weight"], 1 + noise(96, 1, seed=8).abs()
    turned = weight + deltas[f"{FFN}.weight"]
    whole = lengths * turned / turned.square().sum(1, keepdim=True).sqrt()
    return {**tensors, f"{FFN}.dora_scale": lengths}, {f"{FFN}.weight": whole - weight}


def dora_of_columns() -> tuple[Tensors, Tensors]:
    model = tiny_dit()
    tensors, deltas = low_rank(model, (FFN,), lambda path: path, DOWN_UP)
    weight, lengths = model.state_dict()[f"{FFN}.weight"], 1 + noise(1, 48, seed=8).abs()
    turned = weight + deltas[f"{FFN}.weight"]
    whole = lengths * turned / turned.square().sum(0, keepdim=True).sqrt()
    return {**tensors, f"{FFN}.dora_scale": lengths}, {f"{FFN}.weight": whole - weight}


def dora_of_peft() -> tuple[Tensors, Tensors]:
    tensors, deltas = dora()
    lengths = tensors.pop(f"{FFN}.dora_scale").flatten()
    named = {f"base_model.model.{key}": tensor for key, tensor in tensors.items()}
    return {**named, f"base_model.model.{FFN}.lora_magnitude_vector": lengths}, deltas


KINDS = (
    full_differences,
    bias_of_b,
    loha,
    lokr,
    lokr_whole,
    glora,
    dora,
    dora_of_columns,
    dora_of_peft,
)


@pytest.mark.parametrize("make", KINDS, ids=[make.__name__ for make in KINDS])
@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_a_kind_of_change_is_exact(make: Callable[[], tuple[Tensors, Tensors]], strength: float) -> None:
    tensors, deltas = make()
    model = tiny_dit()
    scaled = {name: strength * delta for name, delta in deltas.items()}
    wanted = velocity(changed_by_hand(model, scaled))
    assert (velocity(model) - wanted).abs().max() > 1e-3
    found = velocity_wearing(model, (tensors, use(strength=strength)))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)

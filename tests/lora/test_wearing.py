"""LoRAs put on and taken off: several at once, per step, in some blocks only, merged, on packed weights."""

from __future__ import annotations

import dataclasses

import gguf
import pytest
import torch
from torch import Tensor, nn

from tests.lora.making import (
    CONFIG,
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
from wan_core.lora.card import Scaling
from wan_core.lora.fitting import Lora, fit
from wan_core.lora.merging import Merge, rounded
from wan_core.lora.wearing import wearing
from wan_core.models.dit.model import WanDiT
from wan_core.quantization.linear import QuantLinear
from wan_core.quantization.stored import StoredTensor, store
from wan_core.schema import WeightsError

WORDS = ("lora_down.weight", "lora_up.weight", "alpha")
PATHS = ("blocks.0.self_attn.q", "blocks.1.ffn.2", "patch_embedding", "head.head")


def file_for(paths: tuple[str, ...] = PATHS, seed: int = 0) -> tuple[Tensors, Tensors]:
    tensors, deltas = low_rank(tiny_dit(), paths, lambda path: f"diffusion_model.{path}", WORDS)
    factor = 1 + seed
    scaled = {name: t * factor if "up" in name else t for name, t in tensors.items()}
    return scaled, {name: delta * factor for name, delta in deltas.items()}


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_taking_off_leaves_every_bit_as_it_was() -> None:
    model = tiny_dit()
    before, state = velocity(model), {name: id(tensor) for name, tensor in model.named_parameters()}
    names = [name for name, _ in model.named_modules()]
    tensors, _ = file_for((*PATHS, "time_embedding.0"))
    tensors["diffusion_model.blocks.0.norm3.diff"] = noise(48)
    assert not torch.equal(velocity_wearing(model, (tensors, use())), before)
    assert torch.equal(velocity(model), before)
    assert {name: id(tensor) for name, tensor in model.named_parameters()} == state
    assert [name for name, _ in model.named_modules()] == names
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_failure_while_it_is_worn_leaves_every_bit_as_it_was() -> None:
    model = tiny_dit()
    before = velocity(model)
    fits = [fit(Lora(use(), {"blocks.0.norm3.diff": noise(48)}), model)]
    with pytest.raises(RuntimeError), wearing(model, fits):
        model.blocks[0].norm3(torch.zeros(1, 3, 47))
    assert torch.equal(velocity(model), before)


def test_strength_0_changes_no_bit() -> None:
    model = tiny_dit()
    tensors, _ = file_for()
    assert torch.equal(velocity_wearing(model, (tensors, use(strength=0.0))), velocity(model))


def test_several_add_up_each_with_its_strength() -> None:
    model = tiny_dit()
    one, first = file_for()
    other, second = file_for(("blocks.0.self_attn.q", "blocks.0.cross_attn.k"), seed=1)
    total = {name: -1.5 * delta for name, delta in first.items()}
    for name, delta in second.items():
        total[name] = total.get(name, 0) + 0.25 * delta
    found = velocity_wearing(model, (one, use(strength=-1.5)), (other, use(strength=0.25)))
    same(found, velocity(changed_by_hand(model, total)))


@pytest.mark.parametrize(("step", "strength"), [(0, 1.0), (1, 0.0), (2, -0.5), (3, -0.5), (49, -0.5)])
def test_each_step_has_its_strength_and_the_last_goes_on(step: int, strength: float) -> None:
    model = tiny_dit()
    tensors, deltas = file_for()
    wanted = velocity(changed_by_hand(model, {name: strength * delta for name, delta in deltas.items()}))
    same(velocity_wearing(model, (tensors, use(strength=(1.0, 0.0, -0.5))), step=step), wanted)


def test_the_strengths_of_one_lora_are_not_moved_by_anothers_missing_parts() -> None:
    model = tiny_dit()
    tensors, deltas = file_for()
    other = {"lora_te1_text.lora_down.weight": noise(4, 4), "blocks.0.self_attn.k.diff_b": torch.zeros(48)}
    found = velocity_wearing(
        model, (other, use(strength=(2.0, 2.0))), (tensors, use(strength=(0.0, 1.0))), step=1
    )
    same(found, velocity(changed_by_hand(model, deltas)))


@pytest.mark.parametrize(
    ("blocks", "touched"),
    [
        ("", set(PATHS)),
        ("0", {"blocks.0.self_attn.q"}),
        ("1-3", {"blocks.1.ffn.2"}),
        ("ffn", {"blocks.1.ffn.2"}),
        ("0-9 self_attn other", {"blocks.0.self_attn.q", "patch_embedding", "head.head"}),
        ("other", {"patch_embedding", "head.head"}),
    ],
)
def test_only_the_chosen_blocks_are_touched(blocks: str, touched: set[str]) -> None:
    model = tiny_dit()
    tensors, deltas = file_for()
    report = fit(Lora(use(blocks=blocks), tensors), model).report
    assert (report.matched, report.touched) == (len(PATHS), len(touched))
    chosen = {name: delta for name, delta in deltas.items() if name.removesuffix(".weight") in touched}
    same(velocity_wearing(model, (tensors, use(blocks=blocks))), velocity(changed_by_hand(model, chosen)))


def merged(model: WanDiT, *files: tuple[Tensors, float]) -> Merge:
    fits = tuple(fit(Lora(use(strength=s, merge=True), tensors), model) for tensors, s in files)
    merge = Merge(fits, ("",) * len(fits))
    merge.apply(model)
    return merge


def test_merged_is_what_is_worn() -> None:
    one, other = file_for()[0], file_for(("blocks.0.self_attn.q",), seed=2)[0]
    one |= {"diffusion_model.blocks.0.modulation.diff": noise(1, 6, 48), "blocks.1.norm3.diff_b": noise(48)}
    worn = velocity_wearing(tiny_dit(), (one, use(strength=0.7)), (other, use(strength=-1.0)))
    model = tiny_dit()
    merge = merged(model, (one, 0.7), (other, -1.0))
    left = merge.left(model)
    assert [list(rest.adapters) for rest in left] == [["patch_embedding"]]
    with wearing(model, left):
        same(velocity(model), worn)


def test_two_merges_are_the_same_if_files_and_uses_are() -> None:
    model, tensors = tiny_dit(), file_for()[0]
    keys = [
        Merge((fit(Lora(used, tensors), model),), (identity,)).key
        for used, identity in (
            (use(merge=True), "a"),
            (use(merge=True), "a"),
            (use(merge=True), "b"),
            (use(merge=True, strength=0.9), "a"),
        )
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_bfloat16_rounds_by_chance_the_nearer_the_likelier() -> None:
    numbers = torch.full((4096,), 1 + 2**-9)  # a quarter of the way from 1 to the next bfloat16
    found = rounded(numbers, torch.bfloat16, seed=5)
    assert set(found.tolist()) == {1.0, 1 + 2**-7}
    assert abs((found.float() - 1).mean().item() * 2**7 - 0.25) < 0.03
    assert torch.equal(rounded(numbers, torch.bfloat16, seed=5), found)
    kept = torch.tensor([1.5, -3.0, 0.0, float("inf"), float("-inf")])
    assert torch.equal(rounded(kept, torch.bfloat16, seed=1).float(), kept)
    assert torch.equal(rounded(numbers, torch.float16, seed=5), numbers.half())


def packed(model: WanDiT, path: str, scheme: str) -> WanDiT:
    """The model with one layer packed."""
    linear = model.get_submodule(path)
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, QuantLinear(stored(linear.weight, scheme), linear.bias))
    return model


def stored(weight: Tensor, scheme: str) -> StoredTensor:
    """A matrix brought to a scheme; to GGUF blocks by the library of that name."""
    if not scheme.startswith("gguf_"):
        return store(weight, scheme)
    kind = gguf.GGMLQuantizationType[scheme.removeprefix("gguf_").upper()]
    return StoredTensor(
        scheme, torch.from_numpy(gguf.quantize(weight.numpy(), kind)), None, tuple(weight.shape)
    )


@pytest.mark.parametrize("scheme", ["int8", "fp8_e4m3", "fp8_scaled", "gguf_q8_0", "gguf_q4_0"])
def test_packed_weights_are_left_alone_and_the_change_is_exact(scheme: str) -> None:
    path = "blocks.1.ffn.2"
    for make in (lambda: file_for((path,))[0], dora_file):
        tensors, model = make(), packed(tiny_dit(), path, scheme)
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        wanted_model = tiny_dit()
        wanted_model.get_submodule(path).weight.data = model.get_submodule(path).dequantise()
        wanted = velocity_wearing(wanted_model, (tensors, use(strength=0.5)))
        same(velocity_wearing(model, (tensors, use(strength=0.5))), wanted)
        merge = merged(model, (tensors, 0.5))
        assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
        with wearing(model, merge.left(model)):
            same(velocity(model), wanted)


def dora_file() -> Tensors:
    tensors = file_for(("blocks.1.ffn.2",))[0]
    return {**tensors, "diffusion_model.blocks.1.ffn.2.dora_scale": 1 + noise(48, 1).abs()}


def test_a_control_lora_widens_the_patch_embedding() -> None:
    """As spacepxl's: new input channels, whose weights begin at zero, read another clip's latents."""
    model, channels = tiny_dit(), noise(1, 16, 2, 4, 4, seed=7, size=1.0)
    before = velocity(model)
    down, up = noise(RANK, 32, 1, 2, 2, seed=3), noise(48, RANK, 1, 1, 1, seed=4)
    tensors = {
        "diffusion_model.patch_embedding.lora_A.weight": down,
        "diffusion_model.patch_embedding.lora_B.weight": up,
        "diffusion_model.patch_embedding.reshape_weight": torch.tensor([48, 32, 1, 2, 2]),
    }
    wide = WanDiT(dataclasses.replace(CONFIG, in_dim=32)).requires_grad_(False).eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weight = torch.zeros(48, 32, 1, 2, 2)
    weight[:, :16] = state["patch_embedding.weight"]
    state["patch_embedding.weight"] = weight + (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    wide.load_state_dict(state)
    found = fit(Lora(use(), tensors), model)
    assert (found.in_dim, found.report.matched) == (32, 1)
    with wearing(model, [found]):
        assert model.config.in_dim == 32
        same(velocity(model, channels), velocity(wide, channels))
    assert model.config.in_dim == 16
    assert torch.equal(velocity(model), before)


def test_a_lora_of_image_to_video_on_text_to_video_is_reported() -> None:
    image = tiny_dit(dataclasses.replace(CONFIG, in_dim=36, image_dim=24))
    paths = ("blocks.0.cross_attn.k_img", "blocks.0.self_attn.q", "patch_embedding")
    tensors, _ = low_rank(image, paths, lambda path: "lora_unet_" + path.replace(".", "_"), WORDS)
    report = fit(Lora(use(), tensors), tiny_dit()).report
    assert report.matched == 1
    assert dict(report.unmatched) == {
        "lora_unet_blocks_0_cross_attn_k_img": "the model has no such part",
        "lora_unet_patch_embedding": "it is 48×144, not 48×64",
    }
    assert report.sentence == (
        "test.safetensors (kohya): 1 of 3 parts fit; 2 are left out, such as "
        "lora_unet_blocks_0_cross_attn_k_img (the model has no such part)."
    )
    whole = fit(Lora(use(), tensors), image).report
    assert (whole.matched, whole.sentence) == (3, "test.safetensors (kohya): 3 of 3 parts fit.")


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"blocks.0.self_attn.q.lora_A.weight": noise(4, 48)}, "up is missing"),
        (
            {
                "blocks.0.self_attn.q.lora_A.weight": noise(4, 48),
                "blocks.0.self_attn.q.lora_B.weight": noise(48, 5),
            },
            "up and down have different ranks",
        ),
        ({"blocks.0.self_attn.q.hada_w1_a": noise(4, 48)}, "hada_w1_b is missing"),
        ({"blocks.0.self_attn.q.lokr_w1": noise(4, 8)}, "lokr_w2 is missing"),
        ({"blocks.0.self_attn.q.alpha": torch.tensor(1.0)}, "it changes nothing"),
        ({"blocks.0.self_attn.norm_q.diff_b": noise(48)}, "the model has no bias there"),
        ({"blocks.0.self_attn.q.diff_b": noise(47)}, "its bias has 47 numbers, not 48"),
        ({"blocks.0.norm3.diff": noise(47)}, "it is 47, not 48"),
        (
            {
                "blocks.0.ffn.0.lora_A.weight": noise(4, 48),
                "blocks.0.ffn.0.lora_B.weight": noise(96, 4),
                "blocks.0.ffn.0.alpha": torch.tensor(float("nan")),
            },
            "alpha is no number",
        ),
    ],
)
def test_what_cannot_be_used_is_left_out_with_its_reason(tensors: Tensors, reason: str) -> None:
    model = tiny_dit()
    good = {"blocks.1.self_attn.v.diff_b": noise(48)}
    report = fit(Lora(use(), {**tensors, **good}), model).report
    assert (report.matched, list(report.unmatched.values())) == (1, [reason])
    with pytest.raises(WeightsError, match=reason):
        fit(Lora(use(), tensors), model)


def test_a_lora_of_another_width_is_refused_with_both_widths() -> None:
    wide = tiny_dit(dataclasses.replace(CONFIG, dim=64))
    tensors, _ = low_rank(wide, ("head.head", "blocks.0.self_attn.q"), lambda path: path, WORDS)
    with pytest.raises(WeightsError, match="for a Wan transformer of width 64, and this model's is 48"):
        fit(Lora(use(), tensors), tiny_dit())


def test_a_lora_of_another_family_is_refused_though_a_part_is_called_alike_and_fits() -> None:
    """Flux in diffusers' format has a ``proj_out``, too, which Wan calls its head."""
    single = "transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight"
    for width in (48, 3072):
        last = {"lora_A.weight": noise(4, width), "lora_B.weight": noise(64, 4)}
        tensors = {single: noise(4, width), **{f"transformer.proj_out.{k}": t for k, t in last.items()}}
        with pytest.raises(WeightsError, match="looks like a LoRA for Flux, not for Wan"):
            fit(Lora(use(), tensors), tiny_dit())


def test_the_alpha_of_peft_is_read_from_what_the_file_says() -> None:
    model = tiny_dit()
    words = ("lora_A.weight", "lora_B.weight", None)
    path = "blocks.0.self_attn.q"
    tensors, deltas = low_rank(model, (path,), lambda path: f"base_model.model.{path}", words)
    for scaling, scale in (
        (Scaling(alpha=8.0), 8 / RANK),
        (Scaling(alpha=8.0, rooted=True), 8 / RANK**0.5),
        (Scaling(alpha=8.0, alphas=(("self_attn.q", 1.0),)), 1 / RANK),
        (Scaling(), 1.0),
    ):
        with wearing(model, [fit(Lora(use(), tensors, scaling), model)]):
            found = velocity(model)
        same(found, velocity(changed_by_hand(model, {f"{path}.weight": scale * deltas[f"{path}.weight"]})))


def test_a_model_in_bfloat16_takes_a_float16_file() -> None:
    tensors = {name: tensor.half() for name, tensor in file_for()[0].items()}
    model = tiny_dit()
    for name, parameter in model.named_parameters():
        if not WanDiT.keep_in_fp32(name):
            parameter.data = parameter.data.bfloat16()
    before, found = velocity(model), velocity_wearing(model, (tensors, use()))
    wanted = velocity_wearing(tiny_dit(), (tensors, use()))
    assert (found - wanted).abs().mean() < 0.2 * (found - before).abs().mean()


def test_tensors_move_with_the_layer_and_are_in_no_checkpoint() -> None:
    model, keys = tiny_dit(), set(tiny_dit().state_dict())
    tensors, _ = file_for(("blocks.0.self_attn.q",))
    with wearing(model, [fit(Lora(use(), tensors), model)]):
        layer: nn.Module = model.blocks[0].self_attn.q
        assert {tuple(buffer.shape) for buffer in layer.buffers()} == {(RANK, 48), (48, RANK)}
        assert set(model.state_dict()) == keys
        model.blocks[0].to(torch.bfloat16)
        assert {buffer.dtype for buffer in layer.buffers()} == {torch.bfloat16}

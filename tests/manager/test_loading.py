"""Models come out of their files exactly; files of another model are refused by name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.loading import (
    load_image_encoder,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from wan_core.manager.recognise import looks_like, read_shapes
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.schema import Cancelled, WeightsError

DIT = DiTConfig(dim=32, ffn_dim=48, num_heads=4, num_layers=2, text_dim=16, freq_dim=16)
I2V = dataclasses.replace(DIT, in_dim=36, image_dim=24)
FLF2V = dataclasses.replace(I2V, image_positions=10)
VACE = dataclasses.replace(DIT, vace_in_dim=20, vace_layers=(0, 1))
VAE = VAEConfig(dim=4)
UMT5 = UMT5Config(vocab_size=40, dim=16, dim_attn=16, dim_ffn=24, num_heads=2, num_layers=2)
DIT_FILE = "diffusion_pytorch_model.safetensors"


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@pytest.fixture
def dit_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_file(tensors(WanDiT(DIT)), tmp_path / DIT_FILE)
    (tmp_path / "config.json").write_text(json.dumps({"num_heads": DIT.num_heads}))
    return tmp_path


def assert_same(model: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_transformer_loads_exactly_with_heads_from_config_json(dit_folder):
    torch.manual_seed(0)
    expected = tensors(WanDiT(DIT))
    model = load_transformer(dit_folder, [DIT_FILE], expected=DIT)
    assert model.config == DIT
    assert_same(model, expected)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_a_loaded_model_runs_like_the_original(dit_folder):
    torch.manual_seed(0)
    original = WanDiT(DIT).eval()
    loaded = load_transformer(dit_folder, [DIT_FILE])
    sample = torch.randn(1, 16, 1, 4, 4), torch.tensor([500]), torch.randn(1, 3, 16)
    with torch.no_grad():
        torch.testing.assert_close(loaded(*sample), original(*sample), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [I2V, FLF2V, VACE], ids=lambda sizes: sizes.kind)
def test_other_kinds_of_transformer_load_and_are_told_apart(dit_folder, sizes):
    expected = tensors(WanDiT(sizes))
    save_file(expected, dit_folder / "other.safetensors")
    model = load_transformer(dit_folder, ["other.safetensors"], expected=sizes)
    assert model.config == sizes
    assert_same(model, expected)
    low = load_transformer(dit_folder, ["other.safetensors"], torch.bfloat16)
    for name, parameter in low.named_parameters():
        assert parameter.dtype == (torch.float32 if WanDiT.keep_in_fp32(name) else torch.bfloat16), name
    with pytest.raises(
        WeightsError, match=rf"a Wan {sizes.kind} transformer, .* not a Wan t2v transformer; put"
    ):
        load_transformer(dit_folder, ["other.safetensors"], expected=DIT)
    with pytest.raises(
        WeightsError, match=rf"a Wan t2v transformer, .* not a Wan {sizes.kind} transformer; put"
    ):
        load_transformer(dit_folder, [DIT_FILE], expected=sizes)


def test_halves_of_a_vace_file_in_different_precision_become_one(dit_folder):
    found = tensors(WanDiT(VACE))
    mixed = {name: t.bfloat16() if name.startswith("vace_") else t for name, t in found.items()}
    save_file(mixed, dit_folder / "vace.safetensors")
    model = load_transformer(dit_folder, ["vace.safetensors"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    latents, control = torch.randn(1, 16, 1, 4, 4), torch.randn(1, 20, 1, 4, 4)
    given = DiTConditioning(vace_latents=control)
    assert model(latents, torch.tensor([500]), torch.randn(1, 3, 16), given).isfinite().all()


def test_only_what_runs_of_a_clip_file_is_loaded(tmp_path):
    sizes = CLIPConfig(dim=32, dim_mlp=48, num_heads=4, num_layers=2, image_size=28)
    whole = tensors(CLIPImageEncoder(dataclasses.replace(sizes, num_layers=3)))
    file = {f"visual.{name}": tensor for name, tensor in whole.items()}
    file |= {"visual.head": torch.ones(32, 8), "visual.post_norm.weight": torch.ones(32)}
    file |= {"textual.token_embedding.weight": torch.ones(9, 8), "log_scale": torch.ones(())}
    torch.save(file, tmp_path / "clip.pth")
    model = load_image_encoder(tmp_path, ["clip.pth"], expected=sizes)
    assert model.config == sizes
    expected = {name: tensor for name, tensor in whole.items() if not name.startswith("transformer.2.")}
    assert_same(model, expected)
    seen: list[int] = []
    low = load_image_encoder(
        tmp_path, ["clip.pth"], torch.float16, sizes, lambda done, total: seen.append(total)
    )
    assert {parameter.dtype for parameter in low.parameters()} == {torch.float16}
    assert seen[-1] == sum(tensor.nbytes for tensor in expected.values())

    with pytest.raises(WeightsError, match="a CLIP image encoder with num_layers 31; put"):
        load_image_encoder(tmp_path, ["clip.pth"], expected=dataclasses.replace(sizes, num_layers=31))
    torch.save({**file, "visual.extra": torch.ones(1)}, tmp_path / "clip.pth")
    with pytest.raises(WeightsError, match="also has 1 tensors, such as extra;"):
        load_image_encoder(tmp_path, ["clip.pth"], expected=sizes)
    torch.save(tensors(WanVAE(VAE)), tmp_path / "clip.pth")
    with pytest.raises(WeightsError, match="a Wan VAE of width 4, not a CLIP image encoder"):
        load_image_encoder(tmp_path, ["clip.pth"])


def test_casting_leaves_what_must_stay_fp32(dit_folder):
    model = load_transformer(dit_folder, [DIT_FILE], torch.bfloat16)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.float32 if WanDiT.keep_in_fp32(name) else torch.bfloat16), name
    assert model.blocks[0].self_attn.q.weight.dtype == torch.bfloat16
    assert model.head.head.weight.dtype == torch.float32


def test_shards_load_as_one_model(dit_folder):
    whole = open_checkpoint(dit_folder / DIT_FILE)
    names = sorted(whole)
    halves = {"d-1-of-2.safetensors": names[::2], "d-2-of-2.safetensors": names[1::2]}
    for file, half in halves.items():
        save_file({name: whole[name].clone() for name in half}, dit_folder / file)
    weight_map = {name: file for file, half in halves.items() for name in half}
    (dit_folder / "d.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_same(load_transformer(dit_folder, ["d.safetensors.index.json"]), whole)
    (dit_folder / "d-2-of-2.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"d-2-of-2\.safetensors, shard 2 of 2, is missing; download"):
        load_transformer(dit_folder, ["d.safetensors.index.json"])


def test_a_vae_loads_from_a_pth_without_copying(tmp_path):
    expected = tensors(WanVAE(VAE))
    torch.save(expected, tmp_path / "Wan2.1_VAE.pth")
    model = load_vae(tmp_path, ["Wan2.1_VAE.pth"], torch.float32, expected=VAE)
    assert_same(model, expected)
    assert str(tmp_path / "Wan2.1_VAE.pth") in Path("/proc/self/maps").read_text()
    assert load_vae(tmp_path, ["Wan2.1_VAE.pth"], torch.float16).conv1.weight.dtype == torch.float16


def test_a_text_encoder_loads_from_official_names_with_one_token_table(tmp_path):
    torch.manual_seed(0)
    original = build_encoder(UMT5).eval().bfloat16()
    torch.save(to_official_keys(tensors(original)), tmp_path / "t5.pth")
    for dtype in (None, torch.bfloat16, torch.float32):
        model = load_text_encoder(tmp_path, ["t5.pth"], dtype, expected=UMT5)
        assert model.shared.weight.dtype == (dtype or torch.bfloat16)
        assert model.shared.weight is model.encoder.embed_tokens.weight
    ids = torch.tensor([[3, 7, 1]])
    loaded = load_text_encoder(tmp_path, ["t5.pth"])
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).last_hidden_state, original(ids).last_hidden_state)


def test_progress_counts_every_byte_and_can_stop_the_loading(dit_folder):
    seen: list[tuple[int, int]] = []
    load_transformer(dit_folder, [DIT_FILE], on_bytes=lambda done, total: seen.append((done, total)))
    assert (
        seen[-1][0] == seen[-1][1] == sum(t.nbytes for t in open_checkpoint(dit_folder / DIT_FILE).values())
    )
    assert seen == sorted(seen)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        load_transformer(dit_folder, [DIT_FILE], on_bytes=stop)


def test_shapes_are_read_from_both_formats(dit_folder):
    save = open_checkpoint(dit_folder / DIT_FILE)
    torch.save(save, dit_folder / "same.pth")
    expected = {name: tuple(tensor.shape) for name, tensor in save.items()}
    assert read_shapes(dit_folder, [DIT_FILE]) == expected
    assert read_shapes(dit_folder, ["same.pth"]) == expected


def test_another_model_is_named(dit_folder):
    larger = DiTConfig(dim=64, ffn_dim=48, num_heads=4, num_layers=2, text_dim=16, freq_dim=16)
    with pytest.raises(WeightsError, match=r"looks like a Wan t2v transformer, .* with dim 64; put"):
        load_transformer(dit_folder, [DIT_FILE], expected=larger)
    with pytest.raises(WeightsError, match=r"looks like a Wan t2v transformer, .* not a Wan VAE; put"):
        load_vae(dit_folder, [DIT_FILE])
    with pytest.raises(WeightsError, match=r"not a umT5 text encoder"):
        load_text_encoder(dit_folder, [DIT_FILE])
    torch.save(tensors(WanVAE(VAE)), dit_folder / "vae.pth")
    with pytest.raises(WeightsError, match=r"a Wan VAE of width 4, not a Wan transformer"):
        load_transformer(dit_folder, ["vae.pth"])


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("blocks.0.self_attn.q.lora_down.weight", "a LoRA"),
        ("condition_embedder.time_proj.weight", "a Wan transformer in the diffusers format"),
        ("visual.transformer.0.attn.proj.weight", "a CLIP image encoder"),
        ("conv.weight", "an unknown model (1 tensors, the first is conv.weight)"),
    ],
)
def test_foreign_files_are_recognised(name, phrase):
    assert looks_like({name: (1, 2)}) == phrase


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("blocks.1.ffn.2.bias"), r"lacks 1 tensors, such as blocks\.1\.ffn\.2\.bias;"),
        (lambda t: t.update(extra=torch.ones(2)), r"also has 1 tensors, such as extra;"),
        (
            lambda t: t.update({"blocks.1.ffn.2.bias": torch.ones(7)}),
            r"has other shapes for 1 tensors, such as blocks\.1\.ffn\.2\.bias \[7\] instead of \[32\];",
        ),
        (lambda t: t.pop("head.head.weight"), r"incomplete: head\.head\.weight is missing"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(dit_folder, change, sentence):
    found = {name: tensor.clone() for name, tensor in open_checkpoint(dit_folder / DIT_FILE).items()}
    change(found)
    save_file(found, dit_folder / DIT_FILE)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_transformer(dit_folder, [DIT_FILE])
    assert DIT_FILE in str(caught.value)


def test_config_json_tells_what_shapes_do_not(dit_folder):
    (dit_folder / "config.json").write_text(json.dumps({"num_heads": DIT.num_heads, "text_len": 64}))
    config = load_transformer(dit_folder, [DIT_FILE]).config
    assert (config.num_heads, config.text_len) == (DIT.num_heads, 64)


def test_config_json_tells_where_the_hints_go(dit_folder):
    sizes = dataclasses.replace(VACE, num_layers=4, vace_layers=(0, 3))
    save_file(tensors(WanDiT(sizes)), dit_folder / "vace.safetensors")
    told = {"num_heads": DIT.num_heads, "vace_layers": [0, 3]}
    (dit_folder / "config.json").write_text(json.dumps(told))
    assert load_transformer(dit_folder, ["vace.safetensors"], expected=sizes).config == sizes
    (dit_folder / "config.json").write_text(json.dumps(told | {"vace_layers": [0, 4]}))
    with pytest.raises(WeightsError, match=r"vace\.safetensors: 2 VACE blocks beside 4 others do not fit"):
        load_transformer(dit_folder, ["vace.safetensors"])


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "<html>",
        '{"num_heads": "many"}',
        '{"num_heads": 0}',
        "[" * 60_000,
        '{"vace_layers": 5}',
        '{"vace_layers": [0, "2"]}',
    ],
)
def test_a_damaged_config_json_is_named(dit_folder, text):
    (dit_folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json is damaged"):
        load_transformer(dit_folder, [DIT_FILE])

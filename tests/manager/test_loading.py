"""Models come out of their files exactly; every damaged, foreign or hostile file is refused in a sentence."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from wan_core.manager import checkpoint_file
from wan_core.manager.checkpoint_file import open_checkpoint, read_file_shapes
from wan_core.manager.loading import load_text_encoder, load_transformer, load_vae, looks_like, read_shapes
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_official_keys
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.schema import Cancelled, WeightsError

DIT = DiTConfig(dim=32, ffn_dim=48, num_heads=4, num_layers=2, text_dim=16, freq_dim=16)
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
    with pytest.raises(WeightsError, match=r"a Wan VAE of width 4, not a Wan text-to-video transformer"):
        load_transformer(dit_folder, ["vae.pth"])


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("blocks.0.self_attn.q.lora_down.weight", "a LoRA"),
        ("condition_embedder.time_proj.weight", "a Wan transformer in the diffusers format"),
        ("model.diffusion_model.blocks.0.norm3.weight", "a Wan transformer repackaged for ComfyUI"),
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


@pytest.mark.parametrize("text", ["[]", "<html>", '{"num_heads": "many"}', '{"num_heads": 0}', "[" * 60_000])
def test_a_damaged_config_json_is_named(dit_folder, text):
    (dit_folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json is damaged"):
        load_transformer(dit_folder, [DIT_FILE])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page that was saved instead"),
        (b"\n <HTML>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer"),
        (b"GGUF\x03\x00\x00\x00", "is a GGUF file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", r"is a \.pth in the format before PyTorch 1\.6"),
        (b"random bytes", "is neither a safetensors file nor a PyTorch checkpoint"),
        (b"PK\x03\x04 and nothing else", "is cut short or damaged|under a wrong name"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_what_is_no_checkpoint_is_named(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=sentence) as caught:
        open_checkpoint(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(WeightsError, match="is missing; download"):
        open_checkpoint(tmp_path / "nowhere.pth")


def raw_safetensors(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list, offsets: list, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "data", "sentence"),
    [
        ({"a": entry([2], [0, 8])}, b"1234", "is cut short: 4 of 8 bytes"),
        ({"a": entry([1], [0, 4])}, b"12345678", "4 bytes more than its header lists"),
        ({"a": entry([2], [0, 4])}, b"1234", "differs from its shape's"),
        ({"a": entry([0, 2**60], [0, 0])}, b"", "impossible shape"),
        ({"a": entry([0], [0, 0])}, b"", "differs from its shape's"),
        ({"a": entry([-1], [0, -4])}, b"", "impossible shape"),
        ({"a": entry([1.0], [0, 4])}, b"1234", "impossible shape"),
        ({"a": entry([True], [0, 4])}, b"1234", "impossible shape"),
        ({"a": entry([1], [4, 8])}, b"12345678", "a does not follow on"),
        ({"a": entry([1], [0, 4]), "b": entry([1], [0, 4])}, b"1234", "b does not follow on"),
        ({"a": entry([1] * 9, [0, 4])}, b"1234", "impossible shape"),
        ({"a": entry([4], [0, 4], "F8_E4M3")}, b"1234", "is of type F8_E4M3; use fp32"),
        ({"a": {"shape": [1]}}, b"1234", "damaged header"),
        ({"a": 1}, b"", "damaged header"),
        (b'{"a": ' + b"[" * 100_000, b"", "damaged header"),
        (b"{not json", b"", "damaged header"),
        ({str(n): entry([1], [0, 4]) for n in range(20_001)}, b"", "lists 20001 tensors"),
    ],
)
def test_a_lying_safetensors_header_is_refused(tmp_path, header, data, sentence):
    path = tmp_path / "m.safetensors"
    path.write_bytes(raw_safetensors(header, data))
    with pytest.raises(WeightsError, match=sentence):
        read_file_shapes(path)
    with pytest.raises(WeightsError, match=sentence):
        open_checkpoint(path)


def test_a_giant_header_is_refused_unread(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(WeightsError, match="a header of 1099511627776 bytes"):
        open_checkpoint(path)
    path.write_bytes(struct.pack("<Q", 1000) + b"{}")
    with pytest.raises(WeightsError, match="cut short within its header"):
        open_checkpoint(path)


class Payload:
    """Runs a command when it is unpickled by a careless loader."""

    def __init__(self, marker: Path) -> None:
        self._command = f"touch {marker}"

    def __reduce__(self) -> tuple:
        return os.system, (self._command,)


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: {"w": p}, lambda p: {"w": torch.ones(2), "x": [p]}])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("m.pth", "possibly code that would run, and is not opened"), ("m.safetensors", "under a wrong name")],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_never_run(tmp_path, wrap, name, sentence, legacy):
    payload = wrap(Payload(tmp_path / "marker"))
    torch.save(payload, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=r"before PyTorch 1\.6" if legacy else sentence):
        open_checkpoint(tmp_path / name)
    assert not (tmp_path / "marker").exists()


def test_tensors_that_claim_more_than_the_file_has_are_refused(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1).as_strided((2**30, 2**19), (0, 0))}, path)
    assert path.stat().st_size < 4096
    with pytest.raises(WeightsError, match=r"claims 2251799813685248 bytes of tensors but has only 4"):
        open_checkpoint(path)
    torch.save({"w": torch.empty(2**40, 2**10, device="meta")}, path)
    with pytest.raises(WeightsError, match="on meta"):
        open_checkpoint(path)


def rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))


def test_a_pth_whose_records_were_cut_is_refused(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.arange(100.0)}, path)
    rewrite(path, lambda name, data: data[:8] if name.endswith("data/0") else data)
    with pytest.raises(WeightsError, match="claims 400 bytes of tensors but has only 8"):
        open_checkpoint(path)


def test_a_compressed_pth_is_refused_before_it_unfolds(tmp_path):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1000)}, path)
    rewrite(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="is compressed"):
        open_checkpoint(path)


def test_a_pth_with_a_giant_table_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "m.pth"
    torch.save({"w": torch.zeros(1)}, path)
    monkeypatch.setattr(checkpoint_file, "MAX_HEADER_BYTES", 10)
    with pytest.raises(WeightsError, match="has a table of"):
        open_checkpoint(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_of_either_format_is_refused(dit_folder, keep):
    torch.save(open_checkpoint(dit_folder / DIT_FILE), dit_folder / "m.pth")
    for name in (DIT_FILE, "m.pth"):
        data = (dit_folder / name).read_bytes()
        (dit_folder / f"cut-{name}").write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(WeightsError, match=r"is cut short"):
            open_checkpoint(dit_folder / f"cut-{name}")


@pytest.mark.parametrize(
    "state",
    [
        [torch.ones(1)],
        {},
        {"model": {"w": torch.ones(1)}},
        {1: torch.ones(1)},
        {"step": 3},
        {"w": torch.ones(1, dtype=torch.int64)},
    ],
)
def test_what_is_no_flat_dictionary_of_float_tensors_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "m.pth")
    with pytest.raises(
        WeightsError, match=r"m\.pth (holds no tensors|is no flat list|has w as torch\.int64)"
    ):
        open_checkpoint(tmp_path / "m.pth")


def test_a_folder_under_the_files_name_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        open_checkpoint(path)

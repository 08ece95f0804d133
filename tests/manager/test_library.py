"""What lies on the disk is listed as what it is, used where it fits, and never downloaded again."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file

from tests.tiny import DIT
from wan_core.catalog import MODELS, Role, find_model, is_known
from wan_core.engine import Engine
from wan_core.manager import library as library_module
from wan_core.manager.found_file import FoundFile
from wan_core.manager.library import Library
from wan_core.manager.weights import WeightStore
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.checkpoint import to_transformers_keys
from wan_core.schema import GenerationRequest, InvalidRequest, Settings, WeightsError

MANIFESTS = Path(__file__).parent.parent / "data" / "manifests"
BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}

Shapes = dict[str, tuple[int, ...]]


def manifest(name: str) -> Shapes:
    return {key: tuple(shape) for key, shape in json.loads((MANIFESTS / f"{name}.json").read_text()).items()}


def sparse(path: Path, shapes: Shapes, dtype: str, scales: bool = False, plain: str = "F16") -> Path:
    """A safetensors file of the true shapes whose weights are a hole, which takes no disk."""
    header, end = {}, 0

    def add(name: str, shape: tuple[int, ...], word: str) -> None:
        nonlocal end
        size = math.prod(shape) * BYTES[word]
        header[name] = {"dtype": word, "shape": shape, "data_offsets": [end, end + size]}
        end += size

    for name, shape in shapes.items():
        packed = dtype == "F8_E4M3" and len(shape) == 2
        add(name, shape, dtype if packed or dtype != "F8_E4M3" else plain)
        if packed and scales:
            add(f"{name.removesuffix('.weight')}.scale_weight", (1,), "F32")
    if scales:
        add("scaled_fp8", (0,), "F8_E4M3")
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def comfy_names(shapes: Shapes) -> Shapes:
    return {f"model.diffusion_model.{name}": shape for name, shape in shapes.items()}


def clip_names() -> Shapes:
    """The image half as transformers calls it: 32 blocks, queries, keys and values apart."""
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (1280,),
        "vision_model.embeddings.position_embedding.weight": (257, 1280),
        "vision_model.embeddings.patch_embedding.weight": (1280, 3, 14, 14),
        **{f"vision_model.{n}_layernorm.{e}": (1280,) for n in ("post",) for e in ("weight", "bias")},
        **{f"vision_model.pre_layrnorm.{end}": (1280,) for end in ("weight", "bias")},
    }
    inside = {
        "layer_norm1": (1280,),
        "layer_norm2": (1280,),
        "mlp.fc1": (5120, 1280),
        "mlp.fc2": (1280, 5120),
    }
    inside |= {f"self_attn.{name}_proj": (1280, 1280) for name in ("q", "k", "v", "out")}
    for number in range(32):
        for name, shape in inside.items():
            shapes[f"vision_model.encoder.layers.{number}.{name}.weight"] = shape
            shapes[f"vision_model.encoder.layers.{number}.{name}.bias"] = shape[:1]
    return shapes


def umt5_names() -> Shapes:
    names = to_transformers_keys(manifest("umt5-xxl-encoder"))
    return {name: shape for name, shape in names.items() if "embed_tokens" not in name}


def vace_module(name: str) -> Shapes:
    return {key: shape for key, shape in manifest(name).items() if key.startswith("vace_")}


@pytest.fixture
def comfy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``models`` folder of a ComfyUI with what its users have."""
    models = tmp_path / "ComfyUI" / "models"
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    sparse(
        models / "diffusion_models" / "wan" / "wan2.1_t2v_14B_fp8_scaled.safetensors",
        comfy_names(manifest("t2v-14B")),
        "F8_E4M3",
        scales=True,
    )
    sparse(models / "diffusion_models" / "Wan2_1-T2V-14B_fp16_mytune.safetensors", manifest("t2v-14B"), "F16")
    sparse(models / "unet" / "wan2.2_t2v_low_noise_14B_fp16.safetensors", manifest("t2v-14B"), "F16")
    sparse(
        models / "diffusion_models" / "Wan2_1-VACE_module_14B_bf16.safetensors",
        vace_module("vace-14B"),
        "BF16",
    )
    sparse(
        models / "text_encoders" / "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        umt5_names(),
        "F8_E4M3",
        scales=True,
    )
    sparse(models / "text_encoders" / "umt5_xxl_fp16.safetensors", umt5_names(), "F16")
    sparse(models / "clip_vision" / "clip_vision_h.safetensors", clip_names(), "F16")
    sparse(models / "vae" / "wan_2.1_vae.safetensors", manifest("vae"), "BF16")
    sparse(models / "loras" / "motion.safetensors", {"blocks.0.self_attn.q.lora_A.weight": (8, 5120)}, "F16")
    sparse(models / "checkpoints" / "sd15.safetensors", {"model.diffusion_model.input_blocks.0": (4,)}, "F16")
    (models / "vae" / "ae.safetensors").write_bytes(b"<html>please sign in</html>")
    (models / "unet" / "broken.gguf").write_bytes(b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff")
    (models / "unet" / "readme.txt").write_text("not a model")
    return models


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, hub_cache=tmp_path / "hub")


def listed(store: WeightStore) -> dict[str, FoundFile]:
    return {found.name: found for found in store.library.files(fresh=True)}


@pytest.mark.usefixtures("comfy")
def test_every_file_is_listed_as_what_it_is(store):
    found = listed(store)
    told = {name: (f.role, f.precision, f.what, bool(f.problem)) for name, f in found.items()}
    t2v = "a Wan t2v transformer, 14.29 B parameters, 40 layers"
    umt5 = "a umT5 text encoder of width 4096"
    assert told == {
        "wan/wan2.1_t2v_14B_fp8_scaled.safetensors": (Role.TRANSFORMER, "fp8 scaled", t2v, False),
        "Wan2_1-T2V-14B_fp16_mytune.safetensors": (Role.TRANSFORMER, "fp16", t2v, False),
        "wan2.2_t2v_low_noise_14B_fp16.safetensors": (None, "fp16", "a file of Wan2.2", False),
        "Wan2_1-VACE_module_14B_bf16.safetensors": (
            Role.TRANSFORMER,
            "bf16",
            "a VACE module, which needs the transformer that it was made for beside it",
            False,
        ),
        "umt5_xxl_fp8_e4m3fn_scaled.safetensors": (Role.TEXT_ENCODER, "fp8 scaled", umt5, False),
        "umt5_xxl_fp16.safetensors": (Role.TEXT_ENCODER, "fp16", umt5, False),
        "clip_vision_h.safetensors": (
            Role.IMAGE_ENCODER,
            "fp16",
            "a CLIP image encoder of width 1280",
            False,
        ),
        "wan_2.1_vae.safetensors": (Role.VAE, "bf16", "a Wan VAE of width 96", False),
        "motion.safetensors": (None, "fp16", "a LoRA", False),
        "sd15.safetensors": (None, "", "an unknown model (1 tensors, the first is input_blocks.0)", False),
        "ae.safetensors": (None, "", "", True),
        "broken.gguf": (None, "", "", True),
    }
    assert "is a web page" in found["ae.safetensors"].problem
    assert found["wan/wan2.1_t2v_14B_fp8_scaled.safetensors"].size > 14e9
    assert found["wan/wan2.1_t2v_14B_fp8_scaled.safetensors"].scheme == "fp8_scaled"
    assert "wan2.1-t2v-14b" in found["wan/wan2.1_t2v_14B_fp8_scaled.safetensors"].models
    assert found["Wan2_1-VACE_module_14B_bf16.safetensors"].models == ("wan2.1-vace-14b",)


def test_nothing_is_downloaded_that_fits_and_is_there(store, comfy):
    t2v, i2v = find_model("wan2.1-t2v-14b"), find_model("wan2.1-i2v-14b-480p")
    assert set(store.missing(t2v)) == {"tokenizer"}
    assert set(store.missing(i2v)) == {"tokenizer", Role.TRANSFORMER}
    weights = store.as_found(t2v).weights
    scaled = comfy / "diffusion_models" / "wan" / "wan2.1_t2v_14B_fp8_scaled.safetensors"
    assert weights[Role.TRANSFORMER].files == (str(scaled),)
    assert weights[Role.TRANSFORMER].scheme == "fp8_scaled"
    assert weights[Role.TRANSFORMER].size == scaled.stat().st_size
    plain = str(comfy / "text_encoders" / "umt5_xxl_fp16.safetensors")  # rather than the fp8 one
    assert weights[Role.TEXT_ENCODER].files == (plain,)
    assert store.as_found(i2v).weights[Role.TEXT_ENCODER].files == (plain,)
    assert store.as_found(i2v).weights[Role.TRANSFORMER] == i2v.weights[Role.TRANSFORMER]
    assert Path(store.as_found(i2v).weights[Role.IMAGE_ENCODER].files[0]).name == "clip_vision_h.safetensors"
    assert store.locate(t2v, Role.TRANSFORMER) is None  # the official files are still not here
    assert store.locate(store.as_found(t2v), Role.TRANSFORMER) is not None


@pytest.mark.usefixtures("comfy")
def test_the_official_files_go_first(store, settings):
    t2v = find_model("wan2.1-t2v-14b")
    own = settings.models_dir / "Wan2.1-T2V-14B"
    own.mkdir(parents=True)
    (own / "Wan2.1_VAE.pth").write_bytes(b"1")
    assert store.as_found(t2v).weights[Role.VAE] == t2v.weights[Role.VAE]
    assert store.locate(t2v, Role.VAE) == own


@pytest.mark.usefixtures("comfy")
def test_a_file_can_be_chosen_and_a_module_with_its_trunk(store, comfy):
    rows = {row.id: row for row in store.local_models()}
    scaled, tune = "wan/wan2.1_t2v_14B_fp8_scaled.safetensors", "Wan2_1-T2V-14B_fp16_mytune.safetensors"
    module = "Wan2_1-VACE_module_14B_bf16.safetensors"
    assert set(rows) == {
        f"wan2.1-t2v-14b@{scaled}",
        f"wan2.1-t2v-14b@{tune}",
        f"wan2.1-vace-14b@{scaled}:{module}",
        f"wan2.1-vace-14b@{tune}:{module}",
    }
    for model, row in rows.items():
        assert is_known(model)
        assert find_model(model) == row
        assert set(store.missing(row)) == {"tokenizer"}
    assert rows[f"wan2.1-t2v-14b@{tune}"].title == "Wan2_1-T2V-14B_fp16_mytune · Wan2.1 T2V 14B"
    joined = store.as_found(rows[f"wan2.1-vace-14b@{tune}:{module}"]).weights[Role.TRANSFORMER]
    assert joined.files == (str(comfy / "diffusion_models" / tune), str(comfy / "diffusion_models" / module))


@pytest.mark.parametrize("name", ["../secret.safetensors", "{folder}/secret.safetensors", "nowhere.gguf"])
def test_a_request_names_only_files_that_were_found(store, settings, tmp_path, name):
    settings.models_dir.mkdir(parents=True)
    save_file({"a": torch.ones(1)}, tmp_path / "secret.safetensors")
    spec = find_model(f"wan2.1-t2v-1.3b@{name.format(folder=tmp_path)}")
    assert store.locate(spec, Role.TRANSFORMER) is None
    assert store.as_found(spec).weights[Role.TRANSFORMER] == spec.weights[Role.TRANSFORMER]
    with pytest.raises(WeightsError, match=r"is no longer in any of the model folders; put it back"):
        store.fetch(dataclasses.replace(spec, folder=None), lambda event: None)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("wan/wan2.1_t2v_14B_fp8_scaled.safetensors", "wan2.1_t2v_14B_fp8_scaled"),
        ("Wan2.1-T2V-14B-Q4_K_M.gguf", "Wan2.1-T2V-14B-Q4_K_M"),
        ("My-Wan/transformer/diffusion_pytorch_model.safetensors.index.json", "My-Wan"),
        ("My-Wan/diffusion_pytorch_model-00001-of-00002.safetensors", "My-Wan"),
        ("model.safetensors", "model"),
    ],
)
def test_a_persons_file_is_titled_by_what_tells_it_apart(name, title):
    assert find_model(f"wan2.1-t2v-14b@{name}").title == f"{title} · Wan2.1 T2V 14B"


def test_an_unknown_model_is_still_refused():
    assert not is_known("wan9@file.safetensors")
    with pytest.raises(InvalidRequest, match="'wan9' is not a model of this studio"):
        find_model("wan9@file.safetensors")


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("Wan2_1-T2V-14B_fp8_e4m3fn.safetensors", "wan2.1-t2v-14b"),
        ("wan2.1-t2v-14b-Q4_K_M.gguf", "wan2.1-t2v-14b"),
        ("wan2.1_i2v_480p_14B_fp8_scaled.safetensors", "wan2.1-i2v-14b-480p"),
        ("wan2.1_i2v_720p_14B_bf16.safetensors", "wan2.1-i2v-14b-720p"),
        ("Wan2_1-FLF2V-14B-720P_fp16.safetensors", "wan2.1-flf2v-14b-720p"),
        ("wan2.1_vace_14B_fp16.safetensors", "wan2.1-vace-14b"),
        ("wan2.1_t2v_1.3B_fp16.safetensors", "wan2.1-t2v-1.3b"),
        ("wan2.1-i2v-14b-480p-Q5_0.gguf", "wan2.1-i2v-14b-480p"),
        ("Wan2_1-T2V-14B-AccVideo_fp8.safetensors", None),
        ("wan2.1_t2v_14B_anime_fp16.safetensors", None),
        ("my_model.safetensors", None),
    ],
)
def test_a_transformer_stands_in_only_under_the_models_own_name(file, model):
    every = tuple(MODELS)
    found = FoundFile(file, (Path("/models") / file,), 1, role=Role.TRANSFORMER, models=every)
    fitting = {spec.id for spec in MODELS.values() if found.stands_for(spec, Role.TRANSFORMER)}
    fitting.discard("speedcontrol-1.3b")  # which runs the transformer of another row
    assert fitting == ({model} if model else set())


def test_a_diffusers_repository_of_the_hub_cache_is_used(store, tmp_path):
    repo = tmp_path / "hub" / "models--Wan-AI--Wan2.1-T2V-1.3B-Diffusers" / "snapshots" / ("a" * 40)
    with torch.device("meta"):
        model = WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=30)
        vae = AutoencoderKLWan()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    halves = [dict(list(shapes.items())[:400]), dict(list(shapes.items())[400:])]
    names = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name, half in zip(names, halves, strict=True):
        sparse(repo / "transformer" / name, half, "F32")
    index = {"weight_map": {key: name for name, half in zip(names, halves, strict=True) for key in half}}
    (repo / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    vae_shapes = {name: tuple(tensor.shape) for name, tensor in vae.state_dict().items()}
    sparse(repo / "vae" / "diffusion_pytorch_model.safetensors", vae_shapes, "F32")
    spec = find_model("wan2.1-t2v-1.3b")
    assert set(store.missing(spec)) == {"tokenizer", Role.TEXT_ENCODER}
    assert set(listed(store)) == {
        "Wan2.1-T2V-1.3B-Diffusers/transformer/diffusion_pytorch_model.safetensors.index.json",
        "Wan2.1-T2V-1.3B-Diffusers/vae/diffusion_pytorch_model.safetensors",
    }
    (repo / "transformer" / names[1]).unlink()
    store.library.files(fresh=True)
    assert Role.TRANSFORMER in store.missing(spec)


def test_an_added_folder_in_the_official_layout_counts(settings, tmp_path):
    official = tmp_path / "disk" / "Wan2.1-T2V-1.3B"
    (official / "google" / "umt5-xxl").mkdir(parents=True)
    spec = find_model("wan2.1-t2v-1.3b")
    for name in (*spec.tokenizer.files, *spec.weights[Role.VAE].files):
        (official / name).write_bytes(b"1")
    added = settings.model_copy(update={"model_folders": (tmp_path / "disk",)})
    store = WeightStore(settings, hub_cache=tmp_path / "hub")
    assert len(store.missing(spec)) == 4
    store.use(added)
    assert set(store.missing(spec)) == {Role.TRANSFORMER, Role.TEXT_ENCODER}


def test_a_file_is_read_once_and_again_when_it_changes(settings, tmp_path, monkeypatch):
    path = sparse(settings.models_dir / "a.safetensors", {"w": (2, 2)}, "F16")
    first = Library(settings, tmp_path / "hub").files()
    monkeypatch.setattr(library_module, "describe", None)  # nothing is read
    assert Library(settings, tmp_path / "hub").files() == first
    monkeypatch.undo()
    os.utime(path, ns=(1, 1))
    sparse(path, {"blocks.0.q.lora_A.weight": (2, 2)}, "F16")
    assert Library(settings, tmp_path / "hub").files()[0].what == "a LoRA"
    (settings.home / "library.json").write_text("{broken")
    assert Library(settings, tmp_path / "hub").files()[0].what == "a LoRA"


def test_links_in_a_circle_and_locked_folders_end_nothing(settings, tmp_path):
    folder = settings.models_dir / "deep"
    folder.mkdir(parents=True)
    (folder / "again").symlink_to(settings.models_dir)
    (folder / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (folder / "x.index.json").write_text("[]")
    sparse(folder / "a.safetensors", {"w": (2, 2)}, "F16")
    assert [found.name for found in Library(settings, tmp_path / "hub").files()] == ["deep/a.safetensors"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_video_is_made_with_a_file_that_a_person_has(tiny, settings, tmp_path, packed):
    """The whole way: an added folder, a row of the library, another maker's names, fp8."""
    state = WanDiT(DIT).state_dict()
    kind = torch.float8_e4m3fn if packed else torch.float32
    state = {
        f"model.diffusion_model.{name}": tensor.to(kind) if tensor.ndim == 2 and "blocks" in name else tensor
        for name, tensor in state.items()
    }
    (tmp_path / "mine").mkdir()
    save_file(state, tmp_path / "mine" / "my tiny.safetensors")
    settings = settings.model_copy(update={"model_folders": (tmp_path / "mine",)})
    store = WeightStore(settings, hub_cache=tmp_path / "hub")
    (row,) = store.local_models()
    assert row.id == "tiny@mine/my tiny.safetensors"
    request = GenerationRequest(model=row.id, prompt="a red circle", seed=1)
    result = Engine(settings).generate(request, lambda event: None)
    assert result.video.stat().st_size > 0
    assert result.request.model == row.id


def test_the_command_line_lists_and_the_page_offers_what_a_person_has(tiny, settings, tmp_path, capsys):
    from ui.tabs.plans import offered_tabs
    from wan_core.cli import main

    folder = tmp_path / "mine"
    folder.mkdir()
    save_file(WanDiT(DIT).state_dict(), folder / "my_tiny.safetensors")
    store = WeightStore(settings.model_copy(update={"model_folders": (folder,)}), hub_cache=tmp_path / "hub")
    offered = [spec.title for spec in offered_tabs(store.local_models)[0].models]
    assert offered[-1] == "my_tiny · Tiny"
    assert main(["models", "--home", str(settings.home), "--model-folders", str(folder)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "my_tiny" in line]
    assert line.split()[:2] == ["tiny@mine/my_tiny.safetensors", "my_tiny"]
    assert "own file" in line and "ready" in line and str(folder) in line

"""Every published checkpoint fits the module that its shapes ask for, name by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import torch

from wan_core.catalog import MODELS
from wan_core.models.clip import checkpoint as clip_checkpoint
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.dit.config import DiTConfig, MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.schema.errors import WeightsError

FOLDER = Path(__file__).parent.parent / "data" / "manifests"

SMALL, LARGE = MODELS["wan2.1-t2v-1.3b"].dit, MODELS["wan2.1-t2v-14b"].dit
I2V, FLF2V = MODELS["wan2.1-i2v-14b-480p"].dit, MODELS["wan2.1-flf2v-14b-720p"].dit
CONTROL = {"in_dim": 48, "image_dim": 1280}
CAMERA = {"in_dim": 32, "image_dim": 1280, "camera_dim": 24}


def _manifest(name: str) -> dict[str, list[int]]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def _shapes(module: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "sizes", "parameters"),
    [
        ("t2v-1.3B", SMALL, 1_418_996_800),
        ("t2v-14B", LARGE, 14_288_491_584),
        ("i2v-14B", I2V, 16_394_878_784),
        ("flf2v-14B", FLF2V, 16_395_536_704),
        (
            "vace-1.3B",
            dataclasses.replace(SMALL, vace_in_dim=96, vace_layers=tuple(range(0, 30, 2))),
            2_153_972_032,
        ),
        (
            "vace-14B",
            dataclasses.replace(LARGE, vace_in_dim=96, vace_layers=(0, 5, 10, 15, 20, 25, 30, 35)),
            17_337_592_896,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_official_transformer(name: str, sizes: DiTConfig, parameters: int) -> None:
    manifest = _manifest(name)
    config = dit_checkpoint.infer_config(manifest)
    assert config == sizes
    assert config.kind == dit_checkpoint.find_kind(manifest) == name.split("-")[0]
    with torch.device("meta"):
        dit = WanDiT(config)
    assert _shapes(dit) == manifest
    assert sum(parameter.numel() for parameter in dit.parameters()) == parameters


def _fingerprint(shapes: dict[str, list[int]]) -> str:
    """DiffSynth-Studio knows a checkpoint by this digest of the name and shape of every tensor."""
    parts = [part for name, shape in shapes.items() for part in (name, f"{name}:{'_'.join(map(str, shape))}")]
    return hashlib.md5(",".join(sorted(parts)).encode()).hexdigest()


@pytest.mark.parametrize(
    ("sizes", "fingerprint"),
    [
        (SMALL, "9269f8db9040a9d860eaca435be61814"),
        (dataclasses.replace(SMALL, in_dim=36, image_dim=1280), "6d6ccde6845b95ad9114ab993d917893"),
        (I2V, "6bfcfb3b342cb286ce886889d519a77e"),
        (dataclasses.replace(SMALL, **CONTROL), "349723183fc063b2bfc10bb2835cf677"),
        (dataclasses.replace(LARGE, **CONTROL), "efa44cddf936c70abd0ea28b6cbe946c"),
        (dataclasses.replace(SMALL, **CONTROL, reference_dim=16), "70ddad9d3a133785da5ea371aae09504"),
        (dataclasses.replace(LARGE, **CONTROL, reference_dim=16), "26bde73488a92e64cc20b0a7485b9e5b"),
        (dataclasses.replace(SMALL, **CAMERA), "ac6a5aa74f4a0aab6f64eb9a72f19901"),
        (dataclasses.replace(LARGE, **CAMERA), "b61c605c2adbd23124d152ed28e049ae"),
    ],
    ids=("t2v-S", "inp-S", "inp-L", "control-S", "control-L", "v1.1-S", "v1.1-L", "camera-S", "camera-L"),
)
def test_transformers_of_fun_have_the_published_tensors(sizes: DiTConfig, fingerprint: str) -> None:
    with torch.device("meta"):
        shapes = _shapes(WanDiT(sizes))
    assert _fingerprint(shapes) == fingerprint
    assert dit_checkpoint.infer_config(shapes) == sizes


def test_recam_adds_two_matrices_to_every_block() -> None:
    sizes = dataclasses.replace(SMALL, camera_path_dim=12)
    with torch.device("meta"):
        shapes = _shapes(WanDiT(sizes))
    added = {}
    for number in range(30):
        added |= {f"blocks.{number}.cam_encoder.weight": [1536, 12]}
        added |= {f"blocks.{number}.projector.weight": [1536, 1536]}
        added |= {f"blocks.{number}.{part}.bias": [1536] for part in ("cam_encoder", "projector")}
    assert shapes == _manifest("t2v-1.3B") | added
    assert dit_checkpoint.infer_config(shapes) == sizes
    assert dit_checkpoint.find_kind(shapes) == sizes.kind == "recam"


def test_published_motion_controller() -> None:
    with torch.device("meta"):
        shapes = _shapes(MotionController(MotionConfig()))
    assert _fingerprint(shapes) == "dbd5ec76bbf977983f972c151d545389"
    assert dit_checkpoint.is_motion_controller(shapes)
    assert dit_checkpoint.infer_motion_config(shapes) == MotionConfig()
    assert dit_checkpoint.find_kind(shapes) is None
    for foreign in (_manifest("t2v-1.3B"), {**shapes, "linear.0.weight": [4]}):
        with pytest.raises(WeightsError, match=r"tensors are no motion controller"):
            dit_checkpoint.infer_motion_config(foreign)


def test_official_text_encoder() -> None:
    manifest = _manifest("umt5-xxl-encoder")
    config = umt5_checkpoint.infer_config(manifest)
    assert config == UMT5Config()
    with torch.device("meta"):
        encoder = build_encoder(config)
    assert _shapes(encoder) == umt5_checkpoint.to_transformers_keys(manifest)
    assert umt5_checkpoint.to_official_keys(_shapes(encoder)) == manifest


def test_official_image_encoder() -> None:
    manifest = _manifest("clip-visual")
    whole_file = manifest | _manifest("clip-textual-unused")
    assert len(whole_file) == 784
    config = clip_checkpoint.infer_config(whole_file)
    assert config == clip_checkpoint.infer_config(manifest) == CLIPConfig()
    with torch.device("meta"):
        encoder = CLIPImageEncoder(config)
    used = clip_checkpoint.select_used(whole_file)
    assert _shapes(encoder) == clip_checkpoint.to_module_keys(used)
    never_used = ("visual.head", "visual.post_norm.", "visual.transformer.31.")
    assert manifest.keys() - used.keys() == {name for name in manifest if name.startswith(never_used)}
    assert not used.keys() - manifest.keys()


def test_description_names_kind_and_size() -> None:
    assert dit_checkpoint.describe(_manifest("t2v-1.3B")) == (
        "Wan t2v transformer, 1.42 B parameters, 30 layers"
    )
    assert dit_checkpoint.describe(_manifest("vace-14B")) == (
        "Wan vace transformer, 17.34 B parameters, 40 layers"
    )
    assert dit_checkpoint.describe(_manifest("umt5-xxl-encoder")) == "no Wan transformer (242 tensors)"


def test_heads_that_shapes_cannot_tell_come_from_the_caller() -> None:
    tiny = DiTConfig(dim=256, ffn_dim=300, num_heads=8, num_layers=2, text_dim=96, freq_dim=64)
    with torch.device("meta"):
        shapes = _shapes(WanDiT(tiny))
    assert dit_checkpoint.infer_config(shapes, num_heads=8) == tiny
    assert dit_checkpoint.infer_config(shapes).num_heads == 2
    with pytest.raises(WeightsError, match=r"256 does not split into 7 heads"):
        dit_checkpoint.infer_config(shapes, num_heads=7)


def test_vace_layers_that_shapes_cannot_tell_come_from_the_caller() -> None:
    manifest = _manifest("vace-14B")
    told = [0, 1, 2, 3, 10, 20, 30, 39]
    assert dit_checkpoint.infer_config(manifest, vace_layers=told).vace_layers == tuple(told)
    assert dit_checkpoint.infer_config(_manifest("t2v-14B"), vace_layers=told) == LARGE
    for wrong in (
        [0, 5],
        [1, 0, 2, 3, 10, 20, 30, 39],
        [0, 0, 2, 3, 10, 20, 30, 39],
        [0, 5, 9, 10, 20, 30, 39, 40],
    ):
        with pytest.raises(WeightsError, match=r"8 VACE blocks beside 40 others do not fit the vace_layers"):
            dit_checkpoint.infer_config(manifest, vace_layers=wrong)


@pytest.mark.parametrize(
    ("name", "key"), [("i2v-14B", "img_emb.proj.1.weight"), ("vace-1.3B", "patch_embedding.weight")]
)
def test_damaged_image_and_vace_parts_are_named(name: str, key: str) -> None:
    manifest = _manifest(name)
    with pytest.raises(WeightsError, match=r"transformer is damaged"):
        dit_checkpoint.infer_config({**manifest, key: [1]})
    del manifest[key]
    with pytest.raises(WeightsError, match=f"{key} is missing"):
        dit_checkpoint.infer_config(manifest)


@pytest.mark.parametrize("infer", [dit_checkpoint.infer_config, umt5_checkpoint.infer_config])
def test_foreign_tensors_are_refused(infer) -> None:
    with pytest.raises(WeightsError, match=r"These 1 tensors are no Wan"):
        infer({"lm_head.weight": [4, 4]})


def test_damaged_checkpoints_name_what_is_missing() -> None:
    dit, umt5 = _manifest("t2v-1.3B"), _manifest("umt5-xxl-encoder")
    del dit["head.head.weight"], umt5["blocks.0.ffn.fc1.weight"]
    with pytest.raises(WeightsError, match=r"head\.head\.weight is missing"):
        dit_checkpoint.infer_config(dit)
    with pytest.raises(WeightsError, match=r"blocks\.0\.ffn\.fc1\.weight is missing"):
        umt5_checkpoint.infer_config(umt5)

    dit = {**_manifest("t2v-1.3B"), "patch_embedding.weight": [0]}
    umt5 = {**_manifest("umt5-xxl-encoder"), "blocks.0.attn.q.weight": [4]}
    with pytest.raises(WeightsError, match="transformer is damaged"):
        dit_checkpoint.infer_config(dit)
    with pytest.raises(WeightsError, match="encoder is damaged"):
        umt5_checkpoint.infer_config(umt5)

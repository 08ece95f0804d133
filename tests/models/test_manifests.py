"""Every official checkpoint fits the module that its shapes ask for, name by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from wan_core.catalog import MODELS
from wan_core.models.dit import checkpoint as dit_checkpoint
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5 import checkpoint as umt5_checkpoint
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.model import build_encoder
from wan_core.schema.errors import WeightsError

FOLDER = Path(__file__).parent.parent / "data" / "manifests"


def _manifest(name: str) -> dict[str, list[int]]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def _shapes(module: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "model", "parameters"),
    [
        ("t2v-1.3B", "wan2.1-t2v-1.3b", 1_418_996_800),
        ("t2v-14B", "wan2.1-t2v-14b", 14_288_491_584),
    ],
)
def test_official_transformer(name: str, model: str, parameters: int) -> None:
    manifest = _manifest(name)
    config = dit_checkpoint.infer_config(manifest)
    assert config == MODELS[model].dit
    with torch.device("meta"):
        dit = WanDiT(config)
    assert _shapes(dit) == manifest
    assert sum(parameter.numel() for parameter in dit.parameters()) == parameters


def test_official_text_encoder() -> None:
    manifest = _manifest("umt5-xxl-encoder")
    config = umt5_checkpoint.infer_config(manifest)
    assert config == UMT5Config()
    with torch.device("meta"):
        encoder = build_encoder(config)
    assert _shapes(encoder) == umt5_checkpoint.to_transformers_keys(manifest)
    assert umt5_checkpoint.to_official_keys(_shapes(encoder)) == manifest


def test_description_names_kind_and_size() -> None:
    assert dit_checkpoint.describe(_manifest("t2v-1.3B")) == (
        "Wan t2v transformer, 1.42 B parameters, 30 layers"
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


@pytest.mark.parametrize(
    ("key", "kind"),
    [("vace_patch_embedding.weight", "vace"), ("img_emb.emb_pos", "flf2v"), ("img_emb.proj.0.weight", "i2v")],
)
def test_other_kinds_of_transformer_are_named(key: str, kind: str) -> None:
    with pytest.raises(WeightsError, match=f"a Wan {kind} transformer"):
        dit_checkpoint.infer_config({**_manifest("t2v-1.3B"), key: [1]})


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

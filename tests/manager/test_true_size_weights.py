"""The benchmark's random checkpoints load like the official ones; here at a tiny size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import make_true_size_weights as true_size
from tests.tiny import DIT, UMT5, VAE
from wan_core.catalog import ModelSpec, Role, find_model
from wan_core.manager.loading import load_text_encoder, load_transformer, load_vae
from wan_core.schema import WeightsError


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "demo" / "google" / "umt5-xxl" / "spiece.model"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"tokens")
    monkeypatch.setattr(true_size, "DEMO_FOLDER", tmp_path / "demo")
    monkeypatch.setattr(true_size, "_POOL_ELEMENTS", 4096)


def small(model: str) -> ModelSpec:
    spec = replace(find_model(model), dit=DIT, vae=VAE, text_encoder=UMT5)
    return replace(spec, weights={role: replace(part, size=10) for role, part in spec.weights.items()})


@pytest.mark.parametrize("model", ["wan2.1-t2v-1.3b", "wan2.1-t2v-14b"])
@pytest.mark.usefixtures("tokenizer")
def test_the_files_load_as_the_models_they_stand_for(tmp_path, monkeypatch, model):
    monkeypatch.setattr(true_size, "_SHARD_BYTES", 60_000)
    spec, folder = small(model), tmp_path / "weights"
    true_size.make(folder, spec, torch.bfloat16)
    files = {role: part.files for role, part in spec.weights.items()}
    transformer = load_transformer(folder, files[Role.TRANSFORMER], expected=DIT)
    encoder = load_text_encoder(folder, files[Role.TEXT_ENCODER], expected=UMT5)
    vae = load_vae(folder, files[Role.VAE], expected=VAE)
    assert transformer.blocks[0].self_attn.q.weight.dtype == torch.bfloat16
    assert encoder.shared.weight.dtype == torch.bfloat16
    assert torch.equal(vae.decoder.head[0].gamma, torch.ones_like(vae.decoder.head[0].gamma))
    assert torch.isfinite(vae.decode(torch.randn(1, 16, 1, 4, 4))).all()
    assert len(list(folder.glob("*.safetensors"))) == (1 if model.endswith("1.3b") else 4)
    assert (folder / "google" / "umt5-xxl" / "spiece.model").read_bytes() == b"tokens"


@pytest.mark.usefixtures("tokenizer")
def test_a_disk_that_is_too_small_is_refused(tmp_path):
    spec = small("wan2.1-t2v-1.3b")
    huge = replace(spec, tokenizer=replace(spec.tokenizer, size=2**60))
    with pytest.raises(WeightsError, match="GB free"):
        true_size.make(tmp_path / "weights", huge, torch.float32)

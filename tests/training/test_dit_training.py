"""The DiT's training on a handful of clips: it resumes to the bit, and what it writes can be loaded."""

import dataclasses

import pytest
import torch

from wan_core.catalog import MODELS, Role
from wan_core.manager.loading import load_text_encoder, load_transformer
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.training import latents as latents_module
from wan_core.training import vae_training
from wan_core.training.dit_training import FlowMatching, FlowMatchingData
from wan_core.training.export import export_text_encoder, export_transformer
from wan_core.training.latents import LatentSet, write_latents
from wan_core.training.loop import LoopConfig, TrainingLoop

SPEC = dataclasses.replace(
    MODELS["demo"],
    dit=DiTConfig(dim=32, ffn_dim=48, num_heads=2, num_layers=1, text_dim=16, text_len=64),
    text_encoder=UMT5Config(vocab_size=512, dim=16, dim_attn=16, dim_ffn=24, num_heads=2, num_layers=1),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> FlowMatchingData:
    file = tmp_path_factory.mktemp("latents") / "latents.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents_module, "CLIPS_PER_LENGTH", {5: 3, 9: 2})
        write_latents(vae_training.build(dataclasses.replace(SPEC.vae, dim=4)).eval(), file)
    kept = LatentSet(file)
    assert {kept.batch(step, 2).latents.shape for step in range(20)} == {(2, 16, 2, 8, 8), (2, 16, 3, 8, 8)}
    return FlowMatchingData(kept, PromptTokenizer(SPEC.folder / "google/umt5-xxl", SPEC.dit.text_len))


def train(folder, data: FlowMatchingData, steps: int) -> FlowMatching:
    folder.mkdir(exist_ok=True)
    loop = TrainingLoop(FlowMatching(SPEC), LoopConfig(folder, 4, 1e-2, warmup=1, precision="no"))
    loop.resume()
    loop.run(data.loss_at, until=steps)
    return loop.accelerator.unwrap_model(loop.model)


def test_resumed_equals_unbroken_and_what_is_written_loads(tmp_path, data):
    unbroken = train(tmp_path / "a", data, 4)
    train(tmp_path / "b", data, 2)
    resumed = train(tmp_path / "b", data, 4)
    for one, other in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    fresh = FlowMatching(SPEC)
    assert not torch.equal(fresh.text_encoder.shared.weight, unbroken.text_encoder.shared.weight)

    export_transformer(unbroken.dit, tmp_path)
    export_text_encoder(unbroken.text_encoder, tmp_path)
    dit = load_transformer(tmp_path, SPEC.weights[Role.TRANSFORMER].files, torch.float32)
    assert dit.config == SPEC.dit
    torch.testing.assert_close(dit.head.head.weight, unbroken.dit.head.head.weight, atol=1e-3, rtol=1e-3)
    load_text_encoder(tmp_path, SPEC.weights[Role.TEXT_ENCODER].files, expected=SPEC.text_encoder)


def test_a_checkpoint_survives_being_killed_between_two_renames(tmp_path, data):
    train(tmp_path, data, 2)
    (tmp_path / "state").rename(tmp_path / "state.old")
    loop = TrainingLoop(FlowMatching(SPEC), LoopConfig(tmp_path, 4, 1e-2, precision="no"))
    assert loop.resume() and loop.step == 2

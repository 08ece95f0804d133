"""The models that grow out of the text one: they begin as it, learn resumably, and what is written loads."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wan_core.catalog import ModelSpec, Role
from wan_core.catalog.demo import DEMO, DEMO_IMAGE, DEMO_VACE
from wan_core.manager.loading import load_image_encoder, load_transformer
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.config import UMT5Config
from wan_core.pipelines.conditioning.image import known_mask
from wan_core.training import cli, image_training, steered_parts, vace_examples, vae_training
from wan_core.training.dit_training import FlowMatching, Sample
from wan_core.training.export import (
    export_image_encoder,
    export_text_encoder,
    export_transformer,
    split_state,
)
from wan_core.training.image_training import ImageFlowMatching, channels
from wan_core.training.kept_clips import KeptClips, keep_clips
from wan_core.training.warm_start import start_as

BASE = DiTConfig(dim=32, ffn_dim=48, num_heads=2, num_layers=3, text_dim=16, text_len=64)
CLIP = CLIPConfig(dim=12, dim_mlp=24, num_heads=2, num_layers=1, image_size=28)
TEXT = UMT5Config(vocab_size=512, dim=16, dim_attn=16, dim_ffn=24, num_heads=2, num_layers=1)
IMAGE = dataclasses.replace(BASE, in_dim=36, image_dim=CLIP.dim)
VACE = dataclasses.replace(BASE, vace_in_dim=96, vace_layers=(0, 2))
ONE_FILE = ("diffusion_pytorch_model.safetensors",)


def tiny(row: ModelSpec, dit: DiTConfig) -> ModelSpec:
    weights = dict(row.weights)
    files = weights[Role.TRANSFORMER]
    small = tuple(name.removesuffix(".index.json") for name in files.files)  # one file suffices
    weights[Role.TRANSFORMER] = dataclasses.replace(files, files=small)
    encoder = CLIP if row.image_encoder else None
    return dataclasses.replace(row, dit=dit, text_encoder=TEXT, weights=weights, image_encoder=encoder)


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A folder with a tiny text-to-video model, which the parts of the recipe take for the demo."""
    for name, row, dit in (
        ("DEMO", DEMO, BASE),
        ("DEMO_IMAGE", DEMO_IMAGE, IMAGE),
        ("DEMO_VACE", DEMO_VACE, VACE),
    ):
        monkeypatch.setattr(steered_parts, name, tiny(row, dit))
    monkeypatch.setattr(image_training, "CLIPS_PER_GROUP", {"5": 3, "9": 2})
    monkeypatch.setattr(vace_examples, "CLIPS_PER_GROUP", {"5": 3, "5-reference": 2})
    folder = tmp_path / "model"
    base = FlowMatching(tiny(DEMO, BASE))
    torch.nn.init.normal_(base.dit.head.head.weight)  # else it predicts zero whatever it sees
    export_transformer(base.dit, folder)
    export_text_encoder(base.text_encoder, folder)
    vae = vae_training.build(dataclasses.replace(DEMO.vae, dim=4))
    torch.save(vae.state_dict(), folder / "Wan2.1_VAE.pth")
    shutil.copytree(DEMO.folder / "google", folder / "google")
    return folder


def train(part: str, model: Path, runs: Path, steps: int, *more: str) -> None:
    options = ["--learning-rate", "1e-2", "--precision", "no", "--steps", str(steps), *more]
    cli.main([part, "--folder", str(runs), "--model", str(model), *options])


def inputs(dit: WanDiT) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 16, 3, 4, 4, generator=noise)
    return latents, torch.tensor([300.0, 900.0]), torch.randn(2, 5, dit.config.text_dim, generator=noise)


@torch.no_grad()
def test_a_model_begins_as_the_one_it_grows_out_of():
    torch.manual_seed(0)
    base = WanDiT(BASE)
    base.init_weights()
    torch.nn.init.normal_(base.head.head.weight)
    image, vace = WanDiT(IMAGE), WanDiT(VACE)
    start_as(base, image)
    start_as(base, vace)
    expected = base(*inputs(base))
    pictures = DiTConditioning(
        channel_latents=torch.randn(2, 20, 3, 4, 4), image_embeds=torch.randn(2, 5, CLIP.dim)
    )
    context = DiTConditioning(vace_latents=torch.randn(2, 96, 3, 4, 4))
    torch.testing.assert_close(image(*inputs(image), pictures), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(vace(*inputs(vace), context), expected, atol=1e-5, rtol=0)


def test_pictures_are_laid_out_as_the_studio_does():
    latents = torch.randn(2, 16, 3, 8, 8)
    tensors = {"begun": latents, "ended": torch.full((2, 16, 1, 8, 8), 7.0)}
    seen = channels({name: tensor.half() for name, tensor in tensors.items()}, 9, torch.tensor([False, True]))
    assert torch.equal(seen[:1, :4], known_mask((0,), 9, 8, 8))
    assert torch.equal(seen[1:, :4], known_mask((0, -1), 9, 8, 8))
    assert torch.equal(seen[0, 4:], latents[0].half().float())
    assert torch.equal(seen[1, 4:, :-1], latents[1, :, :-1].half().float()) and (seen[1, 4:, -1] == 7).all()


def test_clips_are_made_once_and_batches_follow_from_the_step(tmp_path):
    made = []

    def make(group: str, index: int) -> dict[str, Tensor]:
        made.append((group, index))
        return {"latents": torch.full((int(group),), index)}

    keep_clips(tmp_path, {"2": 300, "3": 4}, make)
    keep_clips(tmp_path, {"2": 300, "3": 5}, make)
    assert made == [*(("2", i) for i in range(300)), *(("3", i) for i in range(4))]
    clips = KeptClips(tmp_path)
    for step in range(30):
        picks, again = clips.pick(step, 4), clips.pick(step, 4)
        assert picks.indices == again.indices
        wanted = torch.tensor(picks.indices)[:, None].expand(-1, int(picks.group))
        assert torch.equal(picks.tensors["latents"], wanted)


@pytest.mark.parametrize(("part", "config"), [("image", IMAGE), ("vace", VACE)])
def test_a_part_resumes_and_what_it_writes_loads(part, config, model, tmp_path, caplog):
    runs = tmp_path / "runs"
    with caplog.at_level("INFO"):
        cli.main([f"{part}-latents", "--folder", str(runs), "--model", str(model)])
        train(part, model, runs, 2)
        assert "resumed" not in caplog.text
        train(part, model, runs, 3)
    assert "resumed at step 2" in caplog.text
    assert load_transformer(model / part, ONE_FILE).config == config
    shutil.rmtree(runs / part)
    train(part, model, runs, 1, "--warm-start")  # its own weights, not those of the text model


def test_the_image_encoder_learns_and_the_text_encoder_does_not():
    objective = ImageFlowMatching(tiny(DEMO_IMAGE, IMAGE))
    objective.text_encoder.requires_grad_(False)
    torch.nn.init.normal_(objective.dit.head.head.weight)
    latents = torch.randn(2, 16, 3, 8, 8)
    ids = torch.ones(2, 4, dtype=torch.int64)
    sample = Sample(latents, torch.randn(latents.shape), torch.tensor([0.2, 0.9]), ids, ids)
    objective(sample, torch.randn(2, 20, 3, 8, 8), torch.rand(2, 3, 64, 64)).backward()
    learning = {name for name, parameter in objective.named_parameters() if parameter.grad is not None}
    assert "image_encoder.patch_embedding.weight" in learning
    assert {name for name, _ in objective.named_parameters()} - learning == {
        f"text_encoder.{name}" for name, _ in objective.text_encoder.named_parameters()
    }


def test_the_base_of_a_vace_model_stays_as_it_is(model, tmp_path):
    cli.main(["vace-latents", "--folder", str(tmp_path / "runs"), "--model", str(model)])
    train("vace", model, tmp_path / "runs", 3)
    base = load_transformer(model, ONE_FILE)
    trained = load_transformer(model / "vace", ONE_FILE).state_dict()
    for name, tensor in base.state_dict().items():
        assert torch.equal(tensor, trained[name]), name
    assert trained["vace_blocks.1.after_proj.weight"].any()

    newer = load_transformer(model, ONE_FILE, torch.float32)
    newer.head.head.weight.fill_(0.5)
    export_transformer(newer, model)
    shutil.rmtree(tmp_path / "runs" / "vace")
    train("vace", model, tmp_path / "runs", 1, "--warm-start")
    refined = load_transformer(model / "vace", ONE_FILE)
    assert (refined.head.head.weight == 0.5).all() and refined.vace_blocks[1].after_proj.weight.any()


def test_an_image_encoder_is_written_with_the_block_that_nothing_runs(tmp_path):
    encoder = CLIPImageEncoder(CLIP)
    export_image_encoder(encoder, tmp_path)
    (file,) = tmp_path.iterdir()
    loaded = load_image_encoder(tmp_path, [file.name], torch.float32, CLIP)
    pictures = torch.rand(1, 3, CLIP.image_size, CLIP.image_size)
    torch.testing.assert_close(loaded(pictures), encoder(pictures), atol=1e-2, rtol=1e-2)


def test_what_is_too_large_for_one_file_becomes_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("wan_core.training.export.MAX_FILE_BYTES", 60_000)
    dit = WanDiT(VACE)
    dit.init_weights()
    export_transformer(dit, tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2 and shards[0].name.startswith("diffusion_pytorch_model-00001-of-0000")
    loaded = load_transformer(tmp_path, [f"{ONE_FILE[0]}.index.json"])
    assert loaded.config == VACE
    torch.testing.assert_close(loaded.blocks[2].ffn[0].weight, dit.blocks[2].ffn[0].weight.half())
    state = {name: torch.zeros(size) for name, size in (("a", 4), ("b", 4), ("c", 9), ("d", 1))}
    assert [[*shard] for shard in split_state(state, 32)] == [["a", "b"], ["c"], ["d"]]

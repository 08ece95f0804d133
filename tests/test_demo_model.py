"""The built-in models as they are shipped."""

import pytest

from wan_core.catalog import MODELS, Role
from wan_core.engine import Engine
from wan_core.manager.loading import load_image_encoder, load_text_encoder, load_transformer, load_vae
from wan_core.media.metadata import read_request
from wan_core.media.read import read_video
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.schema import GenerationRequest, Settings
from wan_core.training.vae_training import reconstruction_psnr

DEMO = MODELS["demo"]
MB = 1_000_000


def test_every_file_is_small_enough_to_ship():
    sizes = [path.stat().st_size for path in DEMO.folder.rglob("*") if path.is_file()]
    assert max(sizes) < 10 * MB
    assert sum(sizes) < 60 * MB


def test_its_parts_are_what_the_catalog_says():
    folder, weights = DEMO.folder, DEMO.weights
    assert load_transformer(folder, weights[Role.TRANSFORMER].files).config == DEMO.dit
    assert load_vae(folder, weights[Role.VAE].files).config == DEMO.vae
    encoder = load_text_encoder(folder, weights[Role.TEXT_ENCODER].files)
    tokenizer = PromptTokenizer(folder / "google/umt5-xxl")
    assert max(tokenizer.encode("a red star 在夜空中")) < encoder.config.vocab_size


@pytest.mark.parametrize("spec", [row for row in MODELS.values() if row.folder], ids=lambda spec: spec.id)
def test_all_built_in_models_are_what_the_catalog_says(spec):
    assert load_transformer(spec.folder, spec.weights[Role.TRANSFORMER].files).config == spec.dit
    if spec.image_encoder:
        files = spec.weights[Role.IMAGE_ENCODER].files
        load_image_encoder(spec.folder, files, expected=spec.image_encoder)


def test_its_vae_reconstructs_unseen_clips():
    vae = load_vae(DEMO.folder, DEMO.weights[Role.VAE].files)
    assert reconstruction_psnr(vae.float(), count=8) > 25


@pytest.fixture
def make(tmp_path):
    engine = Engine(Settings(home=tmp_path, offline=True))

    def run(seed: int, job_id: str, **changes):
        request = GenerationRequest(
            model="demo",
            prompt="a red circle moving right at night",
            seed=seed,
            num_inference_steps=4,
            **changes,
        )
        return engine.generate(request, lambda event: None, job_id)

    return run


def test_a_seed_decides_the_file(make):
    first, again, other = make(1, "a"), make(1, "b"), make(2, "c")
    assert first.video.read_bytes() == again.video.read_bytes()
    assert (read_video(first.video).frames != read_video(other.video).frames).mean() > 0.05
    assert read_request(first.video) == first.request


@pytest.mark.parametrize("num_frames", [1, 9, 25])
def test_other_lengths_work(make, num_frames):
    clip = read_video(make(3, "d", num_frames=num_frames).video)
    assert clip.frames.shape == (num_frames, 64, 64, 3) and clip.fps == 8

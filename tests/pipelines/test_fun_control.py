"""Fun-Control: channel order against diffusers' VAE, what is zero, and what the image encoder sees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.pipelines.conditioning_jobs import Desk, pixels, random_frames
from tests.pipelines.vae_oracle import build_vae_oracle
from tests.tiny_image import CLIP, CONTROL, CONTROL_REFERENCE, write_image_model
from wan_core.catalog import MODELS, ModelSpec
from wan_core.catalog.fun import CONTROL_TASKS, REFERENCE_TASKS
from wan_core.media.preprocess import grey
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD
from wan_core.pipelines.conditioning.fun_control import control_channels, fun_control_conditioner
from wan_core.pipelines.encoding_media import embed_pictures, load_clip, read_picture
from wan_core.pipelines.generation import generate_latents
from wan_core.pipelines.prompt_encoding import PromptCache
from wan_core.schema import Settings
from wan_core.schema.inputs import Given


def write(base: ModelSpec, factory: pytest.TempPathFactory, reference: bool) -> ModelSpec:
    dit, inputs = (CONTROL_REFERENCE, REFERENCE_TASKS) if reference else (CONTROL, CONTROL_TASKS)
    return write_image_model(base, factory.mktemp("control") / "model", dit, inputs)


@pytest.fixture(scope="module")
def control_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write(tiny_spec, tmp_path_factory, reference=False)


@pytest.fixture(scope="module")
def reference_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write(tiny_spec, tmp_path_factory, reference=True)


@pytest.fixture
def control(
    control_spec: ModelSpec, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.setitem(MODELS, control_spec.id, control_spec)
    return Desk(control_spec, settings, tmp_path)


@pytest.fixture
def steered(
    reference_spec: ModelSpec, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.setitem(MODELS, reference_spec.id, reference_spec)
    return Desk(reference_spec, settings, tmp_path)


@torch.no_grad()
def encoded(spec: ModelSpec, frames: Tensor) -> Tensor:
    """Normalised latents of frames (1, 3, T, H, W) by diffusers."""
    mean = build_vae_oracle(spec.folder).encode(frames).latent_dist.mode()
    shape = (1, 16, 1, 1, 1)
    return (mean - torch.tensor(LATENTS_MEAN).view(shape)) / torch.tensor(LATENTS_STD).view(shape)


def test_the_start_stands_in_the_first_latent_frame_after_the_control() -> None:
    followed, start = torch.randn(1, 2, 3, 4, 5), torch.randn(1, 2, 1, 4, 5)
    channels = control_channels(followed, start)
    assert channels.shape == (1, 4, 3, 4, 5)
    assert torch.equal(channels[:, :2], followed)
    assert torch.equal(channels[:, 2:, :1], start)
    assert not channels[:, 2:, 1:].any()
    assert not control_channels(followed, None)[:, 2:].any()


def test_a_control_alone(control: Desk) -> None:
    job = control.job(task="control", video=control.video(random_frames(9)))
    made = fun_control_conditioner(job)
    seen = load_clip(job, job.request.given("video"), 9)
    expected = encoded(control.spec, pixels(seen))
    assert made.dit.channel_latents.shape == (1, 32, 3, 4, 6)
    torch.testing.assert_close(made.dit.channel_latents[:, :16], expected, rtol=1e-5, atol=1e-5)
    assert not made.dit.channel_latents[:, 16:].any()
    assert made.dit.image_embeds.shape == (1, CLIP.num_tokens, CLIP.dim)
    assert not made.dit.image_embeds.any()
    assert made.dit.reference_latents is None
    assert not made.idle.channel_latents.any()


def test_a_control_with_a_first_frame(control: Desk) -> None:
    [first] = random_frames(1, seed=4)
    name = control.picture(first)
    job = control.job(task="control", video=control.video(random_frames(9)), image=name)
    made = fun_control_conditioner(job)
    expected = encoded(control.spec, pixels(first[None]))
    torch.testing.assert_close(made.dit.channel_latents[:, 16:, :1], expected, rtol=1e-5, atol=1e-5)
    assert not made.dit.channel_latents[:, 16:, 1:].any()
    assert torch.equal(made.dit.image_embeds, embed_pictures(job, [read_picture(job, Given(name))]))
    assert not made.idle.channel_latents[:, :16].any()
    assert torch.equal(made.idle.channel_latents[:, 16:], made.dit.channel_latents[:, 16:])
    assert torch.equal(made.idle.image_embeds, made.dit.image_embeds)


def test_the_image_encoder_sees_the_reference_before_the_first_frame(steered: Desk) -> None:
    first, reference = random_frames(2, seed=5)
    names = {"image": steered.picture(first), "references": (steered.picture(reference),)}
    job = steered.job(task="control", video=steered.video(random_frames(5)), num_frames=5, **names)
    made = fun_control_conditioner(job)
    expected = encoded(steered.spec, pixels(reference[None]))[:, :, 0]
    assert made.dit.reference_latents.shape == (1, 16, 4, 6)
    torch.testing.assert_close(made.dit.reference_latents, expected, rtol=1e-5, atol=1e-5)
    seen = read_picture(job, Given(names["references"][0]))
    assert torch.equal(made.dit.image_embeds, embed_pictures(job, [seen]))
    assert made.dit.channel_latents[:, 16:, :1].any()
    assert torch.equal(made.idle.reference_latents, made.dit.reference_latents)
    made.dit.check(steered.spec.dit, torch.zeros(1, 16, 2, 4, 6))


def test_the_control_may_be_drawn_from_the_video(control: Desk) -> None:
    name = control.video(random_frames(5))
    job = control.job(task="control", video=name, num_frames=5, preprocess="grey")
    made = fun_control_conditioner(job)
    expected = encoded(control.spec, pixels(grey(load_clip(job, Given(name), 5))))
    torch.testing.assert_close(made.dit.channel_latents[:, :16], expected, rtol=1e-5, atol=1e-5)


def test_latents_are_made_from_the_control(control: Desk, steered: Desk) -> None:
    one, other = (random_frames(5, seed=seed) for seed in (7, 8))
    made = [
        generate_latents(control.job(task="control", video=control.video(f), num_frames=5), PromptCache())
        for f in (one, other)
    ]
    assert made[0].isfinite().all() and not torch.equal(*made)
    video, reference = steered.video(one), (steered.picture(other[0]),)
    with_reference, without, late = (
        generate_latents(steered.job(task="control", video=video, num_frames=5, **given), PromptCache())
        for given in ({"references": reference}, {}, {"control_start": 0.5})
    )
    assert not torch.equal(with_reference, without)
    assert not torch.equal(without, late)

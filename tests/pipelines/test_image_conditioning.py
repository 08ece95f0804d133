"""First and last frames: the layout against diffusers, its rows by hand, and what the image encoder sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import WanImageToVideoPipeline

from tests.models.clip_oracle import build_oracle
from tests.pipelines.conditioning_jobs import HEIGHT, WIDTH, Desk, pixels, random_frames
from tests.pipelines.vae_oracle import build_vae_oracle
from tests.tiny_image import CLIP, FLF2V, I2V, official_clip, write_image_model
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.catalog.fun import INP_TASKS
from wan_core.catalog.parts import FIRST_AND_LAST
from wan_core.media.fitting import fit_size
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.image import image_conditioner, known_frames, known_mask
from wan_core.pipelines.encoding_media import embed_pictures, fit_picture, follows, load_picture
from wan_core.pipelines.generation import generate_latents
from wan_core.pipelines.prompt_encoding import PromptCache
from wan_core.schema import ProgressEvent, Settings, Stage


@pytest.fixture(scope="module")
def i2v_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write_image_model(tiny_spec, tmp_path_factory.mktemp("image") / "i2v", I2V, INP_TASKS)


@pytest.fixture(scope="module")
def flf2v_spec(tiny_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("image") / "flf2v"
    return write_image_model(tiny_spec, folder, FLF2V, {"flf2v": FIRST_AND_LAST})


@pytest.fixture
def i2v(i2v_spec: ModelSpec, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(MODELS, i2v_spec.id, i2v_spec)
    return Desk(i2v_spec, settings, tmp_path)


@pytest.fixture
def flf2v(flf2v_spec: ModelSpec, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(MODELS, flf2v_spec.id, flf2v_spec)
    return Desk(flf2v_spec, settings, tmp_path)


@torch.no_grad()
def expected_channels(
    spec: ModelSpec, first: np.ndarray, last: np.ndarray | None, num_frames: int
) -> torch.Tensor:
    """What diffusers gives the transformer besides the noise."""
    vae = build_vae_oracle(spec.folder)
    pipeline = WanImageToVideoPipeline(None, None, vae, None)
    _, condition = pipeline.prepare_latents(
        pixels(first[None])[:, :, 0],
        1,
        height=HEIGHT,
        width=WIDTH,
        num_frames=num_frames,
        dtype=torch.float32,
        device=torch.device("cpu"),
        last_image=None if last is None else pixels(last[None])[:, :, 0],
    )
    return condition


@torch.no_grad()
def expected_embeds(frame: np.ndarray) -> torch.Tensor:
    """What transformers' CLIP gives after all but its last block."""
    size = (CLIP.image_size, CLIP.image_size)
    square = F.interpolate(pixels(frame[None])[:, :, 0], size=size, mode="bicubic", align_corners=False)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    seen = ((square + 1) / 2 - mean) / std
    return build_oracle(official_clip(), CLIP)(seen, output_hidden_states=True).hidden_states[-2]


@pytest.mark.parametrize("num_frames", [5, 13])
def test_a_first_frame_as_diffusers_lays_it_out(i2v: Desk, num_frames: int) -> None:
    [first] = random_frames(1)
    made = image_conditioner(i2v.job(task="i2v", image=i2v.picture(first), num_frames=num_frames))
    expected = expected_channels(i2v.spec, first, None, num_frames)
    assert expected[:, 4:].std() > 0.1
    torch.testing.assert_close(made.dit.channel_latents, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made.dit.image_embeds, expected_embeds(first), rtol=1e-5, atol=1e-5)
    assert (made.null, made.start, made.keep, made.idle, made.front_frames) == (None, None, None, None, 0)


@pytest.mark.parametrize("num_frames", [5, 13])
def test_a_first_and_a_last_frame_as_diffusers_lays_them_out(flf2v: Desk, num_frames: int) -> None:
    first, last = random_frames(2)
    made = image_conditioner(
        flf2v.job(
            task="flf2v", image=flf2v.picture(first), last_image=flf2v.picture(last), num_frames=num_frames
        )
    )
    expected = expected_channels(flf2v.spec, first, last, num_frames)
    torch.testing.assert_close(made.dit.channel_latents, expected, rtol=1e-5, atol=1e-5)
    embeds = torch.cat([expected_embeds(first), expected_embeds(last)], dim=1)
    assert made.dit.image_embeds.shape == (1, 2 * CLIP.num_tokens, CLIP.dim)
    torch.testing.assert_close(made.dit.image_embeds, embeds, rtol=1e-5, atol=1e-5)


def test_fun_inp_sees_a_last_frame_through_its_vae_only(i2v: Desk) -> None:
    first, last = random_frames(2)
    made = image_conditioner(
        i2v.job(task="flf2v", image=i2v.picture(first), last_image=i2v.picture(last), num_frames=5)
    )
    torch.testing.assert_close(
        made.dit.channel_latents, expected_channels(i2v.spec, first, last, 5), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(made.dit.image_embeds, expected_embeds(first), rtol=1e-5, atol=1e-5)


def test_fun_inp_without_a_picture_reads_zeros(i2v: Desk) -> None:
    made = image_conditioner(i2v.job(task="t2v", num_frames=13))
    assert made.dit.channel_latents.shape == (1, 20, 4, 4, 6)
    assert made.dit.image_embeds.shape == (1, CLIP.num_tokens, CLIP.dim)
    assert not made.dit.channel_latents.any() and not made.dit.image_embeds.any()
    assert i2v.manager.loaded() == {}


def test_mask_rows_by_hand() -> None:
    assert known_mask([0], 9, 2, 3)[0, :, :, 1, 2].tolist() == [[1, 0, 0]] * 4
    assert known_mask([0, -1], 9, 1, 1)[0, :, :, 0, 0].tolist() == [[1, 0, 0]] * 3 + [[1, 0, 1]]
    assert known_mask([0, 1, 6], 9, 1, 1)[0, :, :, 0, 0].tolist() == [
        [1, 1, 0],
        [1, 0, 1],
        [1, 0, 0],
        [1, 0, 0],
    ]
    assert known_mask([0], 1, 2, 3).shape == (1, 4, 1, 2, 3)
    assert known_mask([0], 1, 2, 3).all()


def test_mask_of_81_frames_is_the_official_one() -> None:
    official = torch.ones(1, 81, 2, 3)  # spec 7: its length is hard-coded there
    official[:, 1:-1] = 0
    official = torch.cat([official[:, :1].repeat_interleave(4, dim=1), official[:, 1:]], dim=1)
    official = official.view(1, 21, 4, 2, 3).transpose(1, 2)
    assert torch.equal(known_mask([0, -1], 81, 2, 3), official)


@pytest.mark.parametrize("num_frames", [1, 5, 9, 81])
@pytest.mark.parametrize("ends", [1, 2])
def test_frames_between_are_grey_and_take_no_memory(num_frames: int, ends: int) -> None:
    if (num_frames, ends) == (1, 2):
        return
    first, last = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), -0.5)
    chunks = list(known_frames(first, last if ends == 2 else None, num_frames))
    clip = torch.cat(chunks, dim=2)
    assert [chunk.shape[2] for chunk in chunks] == [1] + [4] * ((num_frames - 1) // 4)
    assert torch.equal(clip[:, :, 0], first)
    between = clip[:, :, 1:-1] if ends == 2 else clip[:, :, 1:]
    assert not between.any()
    if ends == 2:
        assert torch.equal(clip[:, :, -1], last)
    grey = chunks[1:-1] if ends == 2 else chunks[1:]
    assert all(chunk.untyped_storage().nbytes() == 4 for chunk in grey)


def test_the_image_encoder_sees_the_picture_as_it_is(i2v: Desk) -> None:
    [wide] = random_frames(1, width=120, height=40)
    made = image_conditioner(i2v.job(task="i2v", image=i2v.picture(wide), fit="crop"))
    torch.testing.assert_close(made.dit.image_embeds, expected_embeds(wide), rtol=1e-5, atol=1e-5)
    pictures = [pixels(frame[None])[:, :, 0] for frame in random_frames(2)]
    both = embed_pictures(i2v.job(), pictures)
    assert torch.equal(both, torch.cat([embed_pictures(i2v.job(), [one]) for one in pictures], dim=1))


def test_a_picture_of_the_clips_shape_is_resized_whole(i2v: Desk) -> None:
    [large] = random_frames(1, width=3 * WIDTH + 8, height=3 * HEIGHT)
    whole = F.interpolate(
        pixels(large[None])[:, :, 0], size=(HEIGHT, WIDTH), mode="bicubic", align_corners=False
    )
    for fit in ("crop", "fit", "stretch"):
        job = i2v.job(task="i2v", image=i2v.picture(large), fit=fit)
        assert torch.equal(load_picture(job, job.request.given("image")), whole)


def test_a_last_frame_of_another_shape_is_fitted_by_itself(flf2v: Desk) -> None:
    [first], [last] = random_frames(1), random_frames(1, width=64, height=128, seed=3)
    names = {"image": flf2v.picture(first), "last_image": flf2v.picture(last)}
    made = image_conditioner(flf2v.job(task="flf2v", num_frames=5, fit="crop", **names))
    middle = fit_picture(pixels(last[None])[:, :, 0], WIDTH, HEIGHT, "crop")
    shown = ((middle[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    expected = expected_channels(flf2v.spec, first, shown, 5)
    torch.testing.assert_close(made.dit.channel_latents, expected, rtol=1e-4, atol=1e-4)
    assert made.dit.image_embeds.shape[1] == 2 * CLIP.num_tokens


def test_pictures_of_another_shape() -> None:
    picture = torch.zeros(1, 3, 40, 100)
    picture[..., 30:70] = 1  # the middle
    cropped = fit_picture(picture, 40, 40, "crop")
    assert cropped.shape == (1, 3, 40, 40) and (cropped == 1).all()
    bordered = fit_picture(picture, 50, 40, "fit")
    assert (bordered[:, :, :10] == -1).all() and (bordered[:, :, 30:] == -1).all()
    assert (bordered[:, :, 12:28, 20:30] == 1).all()
    assert fit_picture(picture, 48, 32, "stretch").shape == (1, 3, 32, 48)
    assert fit_picture(picture, 100, 40, "crop") is not None
    assert torch.equal(fit_picture(picture, 100, 40, "fit"), picture)


@pytest.mark.parametrize("shape", [(1080, 1920), (3024, 4032), (1000, 1000), (1920, 1080), (500, 999)])
@pytest.mark.parametrize("area", [832 * 480, 1280 * 720])
def test_a_size_by_the_official_rule_follows_its_picture(shape: tuple[int, int], area: int) -> None:
    assert follows(shape, *fit_size(area, shape), 16)
    assert not follows(shape, 832, 480, 16)  # a chosen size, even if it is close


def test_progress_is_told_by_latent_frame(i2v: Desk) -> None:
    events: list[ProgressEvent] = []
    image = i2v.picture(random_frames(1)[0])
    image_conditioner(i2v.job(events.append, task="i2v", image=image, num_frames=13))
    told = [event for event in events if event.stage is Stage.ENCODE]
    seen = [(event.step, event.total) for event in told if event.part == Role.VAE]
    assert seen == [(step, 4) for step in range(5)]
    assert [(e.step, e.total) for e in told if e.part == Role.IMAGE_ENCODER] == [(0, 1), (1, 1)]


def test_latents_are_made_from_pictures(i2v: Desk, flf2v: Desk) -> None:
    first, last, other = random_frames(3)
    for desk, task in ((i2v, "i2v"), (flf2v, "flf2v")):
        made = []
        for end in (last, other):
            names = {"image": desk.picture(first)} | (
                {"last_image": desk.picture(end)} if task == "flf2v" else {}
            )
            made.append(generate_latents(desk.job(task=task, num_frames=5, **names), PromptCache()))
        assert made[0].shape == (1, 16, 2, 4, 6) and made[0].isfinite().all()
        assert torch.equal(*made) == (task == "i2v")
    plain = generate_latents(i2v.job(task="t2v", num_frames=5), PromptCache())
    assert not torch.equal(plain, made[0])


def test_conditioning_fits_the_official_transformers() -> None:
    latents = torch.zeros(1, 16, 21, 2, 2)
    for name, rows in (("wan2.1-i2v-14b-480p", 257), ("wan2.1-flf2v-14b-720p", 514)):
        spec = MODELS[name]
        channels = torch.cat([known_mask([0], 81, 2, 2), latents], dim=1)
        given = DiTConditioning(channel_latents=channels, image_embeds=torch.zeros(1, rows, 1280))
        given.check(spec.dit, latents)

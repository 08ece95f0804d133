"""The VACE context: against diffusers, by hand, and from the media of a request."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.pipelines.wan.pipeline_wan_vace import WanVACEPipeline
from diffusers.video_processor import VideoProcessor
from PIL import Image

from tests import tiny as sizes
from tests.models.randomise import randomise
from tests.models.test_vae import _diffusers_key
from wan_core.catalog import ModelSpec, Role
from wan_core.catalog.vace import ROWS, VACE_TASKS
from wan_core.media.fitting import fit_frames
from wan_core.media.inputs import InputStore
from wan_core.media.preprocess import grey
from wan_core.media.read import read_video
from wan_core.media.write import write_video
from wan_core.models.dit.checkpoint import infer_config
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines.conditioning import masks
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.conditioning.vace import (
    MaskedClip,
    build_clip,
    letterbox,
    mask_channels,
    split_frames,
    vace_conditioner,
    vace_context,
)
from wan_core.pipelines.encoding_media import load_clip, to_pixels
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.inputs import Given

HEIGHT, WIDTH, FRAMES, FPS = 32, 48, 9, 8
MANIFESTS = Path(__file__).parent.parent / "data" / "manifests"
LATENT = (3, 4, 6)  # frames, rows, columns


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return randomise(WanVAE(sizes.VAE), 5).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def oracle(vae: WanVAE) -> SimpleNamespace:
    """What the methods of diffusers' pipeline read of it, with a VAE of the same weights."""
    theirs = AutoencoderKLWan(
        base_dim=sizes.VAE.dim, z_dim=16, dim_mult=list(sizes.VAE.dim_mult), num_res_blocks=2, attn_scales=[]
    ).eval()
    theirs.load_state_dict({_diffusers_key(name): tensor for name, tensor in vae.state_dict().items()})
    return SimpleNamespace(
        vae=theirs.requires_grad_(False),
        transformer=SimpleNamespace(config=SimpleNamespace(patch_size=(1, 2, 2))),
        vae_scale_factor_temporal=4,
        vae_scale_factor_spatial=8,
        video_processor=VideoProcessor(vae_scale_factor=8),
    )


def no_event(event: object) -> None:
    """An emit that nobody hears."""


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Random colours that change slowly, (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def their_context(
    oracle: SimpleNamespace, frames: torch.Tensor, mask: torch.Tensor, pictures: list[np.ndarray]
) -> torch.Tensor:
    """diffusers puts each further reference before the ones before it; the official code keeps the order."""
    images = [Image.fromarray(each) for each in reversed(pictures)]
    _, _, references = WanVACEPipeline.preprocess_conditions(
        oracle, None, None, [images] if images else None, 1, HEIGHT, WIDTH, FRAMES, torch.float32, "cpu"
    )
    latents = WanVACEPipeline.prepare_video_latents(oracle, frames, mask, references, None, "cpu")
    channels = WanVACEPipeline.prepare_masks(oracle, mask, references)
    return torch.cat([latents, channels], dim=1)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_context_equals_that_of_diffusers(vae: WanVAE, oracle: SimpleNamespace, count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    frames = torch.randn(1, 3, FRAMES, HEIGHT, WIDTH, generator=generator).clamp(-1, 1)
    mask = torch.rand(1, 1, FRAMES, HEIGHT, WIDTH, generator=generator)
    mask[:, :, :2] = 0
    pictures = [picture(40, 88, 1), picture(72, 24, 2)][:count]  # diffusers rounds sides to 8 first
    inactive, reactive = split_frames(frames, mask)
    references = [
        vae.encode(letterbox(to_pixels(each[None])[:, :, 0], HEIGHT, WIDTH)[:, :, None]) for each in pictures
    ]
    context = vace_context(vae.encode(inactive), vae.encode(reactive), mask_channels(mask), references)
    expected = their_context(oracle, frames, mask.expand(-1, 3, -1, -1, -1), pictures)
    assert context.shape == (1, 96, count + LATENT[0], *LATENT[1:])
    assert expected.std() > 0.2
    torch.testing.assert_close(context, expected, atol=1e-5, rtol=1e-5)


def test_a_letterbox_by_hand() -> None:
    wide = torch.full((1, 3, 10, 40), -1.0)
    boxed = letterbox(wide, 32, 48)
    assert (boxed[:, :, 10:22] == -1).all()  # 12 rows of 48: 1.2 times as large
    assert (boxed[:, :, :10] == 1).all()
    assert (boxed[:, :, 22:] == 1).all()
    same = torch.rand(1, 3, 32, 48)
    assert letterbox(same, 32, 48) is same


def test_mask_channels_by_hand() -> None:
    mask = torch.zeros(1, 1, 81, 16, 16)
    times = torch.arange(81.0)
    mask[0, 0, :, 3, 10] = times / 100  # row 3, column 2 of the cell (0, 1)
    channels = mask_channels(mask)
    assert channels.shape == (1, 64, 21, 2, 2)
    expected = torch.tensor([1, 5, 9, 13, 17, 21, 25, 28, 32, 36, 40, 44, 48, 52, 55, 59, 63, 67, 71, 75, 79])
    torch.testing.assert_close(channels[0, 3 * 8 + 2, :, 0, 1], expected / 100)
    assert channels.count_nonzero() == 21
    assert mask_channels(torch.ones(2, 1, 1, 16, 16)).shape == (2, 64, 1, 2, 2)


def test_the_frames_are_split_at_one_half() -> None:
    frames = torch.full((1, 3, 1, 1, 3), 0.8)
    mask = torch.tensor([0.5, 0.51, 0.0]).view(1, 1, 1, 1, 3)
    inactive, reactive = split_frames(frames, mask)
    assert inactive[0, 0, 0, 0].tolist() == pytest.approx([0.8, 0, 0.8])
    assert reactive[0, 0, 0, 0].tolist() == pytest.approx([0, 0.8, 0])


class VAELender:
    """A source that holds a VAE and nothing else."""

    def __init__(self, vae: WanVAE) -> None:
        self.vae = vae
        self.uses = 0

    @contextmanager
    def use(self, spec: ModelSpec, role: Role, emit: object, working: int = 0) -> Iterator[WanVAE]:
        assert role is Role.VAE
        self.uses += 1
        yield self.vae


@pytest.fixture
def inputs(tmp_path: Path) -> InputStore:
    return InputStore(tmp_path / "inputs")


@pytest.fixture
def clip(inputs: InputStore, tmp_path: Path) -> str:
    """17 frames of 48x32, each of its own shade, with a red corner; kept."""
    shades = np.linspace(40, 200, 17).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (17, HEIGHT, WIDTH, 3)).copy()
    frames[:, :16, :16] = (200, 40, 40)
    write_video([frames], tmp_path / "clip.mp4", FPS, 0, {})
    return inputs.keep(tmp_path / "clip.mp4")


def keep_picture(inputs: InputStore, folder: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(folder / "picture.png")
    return inputs.keep(folder / "picture.png")


@pytest.fixture
def make_job(vae: WanVAE, inputs: InputStore, tiny_spec: ModelSpec):
    spec = dataclasses.replace(tiny_spec, inputs=VACE_TASKS)

    def make(**values: object) -> ConditioningJob:
        given = {"task": "control", "prompt": "a cat", "num_frames": FRAMES, "fps": FPS, **values}
        request = GenerationRequest.parse({"width": WIDTH, "height": HEIGHT, **given})
        return ConditioningJob(VAELender(vae), spec, request, inputs, no_event)

    return make


def new_parts(clip: MaskedClip) -> np.ndarray:
    """(T, H, W): which pixels are made anew; all values of the mask are 0 or 255."""
    assert set(np.unique(clip.mask)) <= {0, 255}
    return clip.mask == 255


def test_a_video_alone_is_the_control(make_job, clip: str, vae: WanVAE) -> None:
    job = make_job(video=clip, control_scale=0.8)
    made = vace_conditioner(job)
    frames = to_pixels(load_clip(job, Given(clip), FRAMES))
    context = made.dit.vace_latents
    torch.testing.assert_close(context[:, :16], vae.encode(torch.zeros_like(frames)), atol=1e-5, rtol=0)
    torch.testing.assert_close(context[:, 16:32], vae.encode(frames), atol=1e-5, rtol=0)
    assert (context[:, 32:] == 1).all()
    assert made.dit.vace_scale == 0.8
    assert made.idle.vace_scale == 0
    assert made.idle.vace_latents is context
    assert (made.null, made.start, made.front_frames) == (None, None, 0)


def test_references_go_before_the_clip_and_share_its_grey(make_job, inputs, tmp_path, vae) -> None:
    pictures = [picture(40, 60, 3), picture(60, 40, 4)]
    names = [keep_picture(inputs, tmp_path, each) for each in pictures]
    job = make_job(references=names)
    made = vace_conditioner(job)
    assert made.front_frames == 2
    assert job.source.uses == 3  # the grey clip is encoded once
    context = made.dit.vace_latents
    assert context.shape == (1, 96, 2 + LATENT[0], *LATENT[1:])
    for index, each in enumerate(pictures):
        boxed = letterbox(to_pixels(each[None])[:, :, 0], HEIGHT, WIDTH)
        expected = vae.encode(boxed[:, :, None])
        torch.testing.assert_close(context[:, :16, index : index + 1], expected, atol=1e-5, rtol=0)
    assert not context[:, 16:, :2].any()
    assert torch.equal(context[:, :16, 2:], context[:, 16:32, 2:])
    assert (context[:, 32:, 2:] == 1).all()


def test_nothing_given_is_grey_made_anew(make_job) -> None:
    clip = build_clip(make_job(task="t2v"))
    assert not clip.steers
    assert new_parts(clip).all()


def test_a_clip_is_held_in_bytes_and_its_mask_once_for_all_frames(make_job, clip: str) -> None:
    built = build_clip(make_job(video=clip, mask_builder="region", region=(0.25, 0.5, 0.75, 1.0)))
    assert (built.frames.dtype, built.frames.shape) == (np.uint8, (FRAMES, HEIGHT, WIDTH, 3))
    assert (built.mask.dtype, built.mask.strides[0]) == (np.uint8, 0)
    assert [part.shape[2] for part, _ in built.chunks()] == [4, 4, 1]


def test_first_and_last_frame_stay(make_job, inputs, tmp_path) -> None:
    first, last = picture(64, 64, 5), picture(HEIGHT, WIDTH, 6)
    names = {
        "image": keep_picture(inputs, tmp_path, first),
        "last_image": keep_picture(inputs, tmp_path, last),
    }
    clip = build_clip(make_job(task="flf2v", **names))
    assert new_parts(clip)[:, 0, 0].tolist() == [False] + [True] * (FRAMES - 2) + [False]
    assert np.array_equal(clip.frames[-1], last)
    assert np.array_equal(clip.frames[0], fit_frames([first], WIDTH, HEIGHT, "crop")[0])
    assert not clip.steers
    alone = build_clip(make_job(task="i2v", image=names["image"]))
    assert new_parts(alone)[:, 0, 0].tolist() == [False] + [True] * (FRAMES - 1)


def test_what_is_made_anew_is_grey_to_the_model_and_the_rest_stays(make_job, clip: str, vae: WanVAE) -> None:
    job = make_job(video=clip, mask_builder="region", region=(0.25, 0.5, 0.75, 1.0))
    built = build_clip(job)
    expected = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    expected[:, 16:, 12:36] = True
    assert np.array_equal(new_parts(built), expected)
    source = to_pixels(load_clip(job, Given(clip), FRAMES))
    assert source[..., 16:, 12:36].abs().min() > 0
    context = vace_conditioner(job).dit.vace_latents
    stays = vae.encode(source.masked_fill(torch.from_numpy(expected), 0))
    torch.testing.assert_close(context[:, :16], stays, atol=1e-5, rtol=0)
    torch.testing.assert_close(context[:, 16:32], vae.encode(torch.zeros_like(source)), atol=1e-5, rtol=0)


def test_a_control_can_be_drawn_into_a_region(make_job, clip: str) -> None:
    job = make_job(video=clip, mask_builder="region", region=(0, 0, 0.5, 1), preprocess="grey")
    built = build_clip(job)
    pixels = fit_frames(read_video(job.inputs.path(clip)).frames[:FRAMES], WIDTH, HEIGHT, "crop")
    assert built.steers
    assert np.array_equal(built.frames[:, :, :24], grey(pixels)[:, :, :24])
    assert np.array_equal(built.frames[:, :, 24:], pixels[:, :, 24:])


def test_what_is_a_control_already_stays_under_the_mask(make_job, clip: str, vae: WanVAE) -> None:
    job = make_job(video=clip, mask_builder="region", region=(0, 0, 0.5, 1), preprocess="as-is")
    built, source = build_clip(job), load_clip(job, Given(clip), FRAMES)
    assert np.array_equal(built.frames, source)
    new = torch.from_numpy(new_parts(built))
    context = vace_conditioner(job).dit.vace_latents
    steering = vae.encode(to_pixels(source).masked_fill(~new, 0))
    torch.testing.assert_close(context[:, 16:32], steering, atol=1e-5, rtol=0)


def test_a_video_is_placed_on_a_larger_canvas(make_job, clip: str) -> None:
    job = make_job(video=clip, mask_builder="outpaint", outpaint=(0.5, 0, 0.5, 1.0))
    built = build_clip(job)
    expected = np.ones((FRAMES, HEIGHT, WIDTH), bool)
    expected[:, :16, 12:36] = False
    assert np.array_equal(new_parts(built), expected)
    smaller = dataclasses.replace(job, request=job.request.model_copy(update={"width": 24, "height": 16}))
    assert np.array_equal(built.frames[:, :16, 12:36], load_clip(smaller, Given(clip), FRAMES))
    assert not built.steers


def test_chosen_frames_stay(make_job, clip: str) -> None:
    job = make_job(video=clip, mask_builder="frames", kept_frames=(0, 3, -1))
    built = build_clip(job)
    kept = [0, 3, FRAMES - 1]
    assert (~new_parts(built)).all(axis=(1, 2)).nonzero()[0].tolist() == kept
    assert np.array_equal(built.frames[kept], load_clip(job, Given(clip), FRAMES)[kept])
    assert not built.steers


@pytest.mark.parametrize(
    ("builder", "taken", "at"), [("after", slice(12, 17), 0), ("before", slice(0, 5), 4)]
)
def test_a_clip_is_extended(make_job, clip: str, builder: str, taken: slice, at: int) -> None:
    built = build_clip(make_job(video=clip, mask_builder=builder, kept_frames=(5,)))
    source = read_video(make_job().inputs.path(clip)).frames
    assert np.array_equal(built.frames[at : at + 5], source[taken])
    kept = ~new_parts(built)[:, 0, 0]
    assert kept.nonzero()[0].tolist() == list(range(at, at + 5))
    assert not built.steers


def test_a_drawn_mask_keeps_its_soft_edge(make_job, inputs, tmp_path, clip: str) -> None:
    drawn = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    drawn[:, 16:], drawn[:, 24:] = 102, 255
    job = make_job(video=clip, mask=keep_picture(inputs, tmp_path, drawn))
    built = build_clip(job)
    assert np.unique(built.mask[:, 0, [0, 16, 24]], axis=0).tolist() == [[0, 102, 255]]
    channels = vace_conditioner(job).dit.vace_latents[0, 32:]
    assert channels[:, 0, 0, [0, 2, 3]].unique(dim=0).tolist() == [pytest.approx([0, 0.4, 1])]


def test_numbers_become_boxes_and_counts() -> None:
    assert masks.region_box((0, 0, 1, 1), 48, 32) == masks.PixelBox(0, 0, 48, 32)
    assert masks.region_box((0.999, 0, 1, 0.001), 48, 32) == masks.PixelBox(47, 0, 48, 1)
    assert masks.outpaint_box((0, 0, 1, 0), 48, 32) == masks.PixelBox(0, 0, 24, 32)
    assert masks.outpaint_box((0.25, 0.5, 0.25, 0.5), 48, 32) == masks.PixelBox(8, 8, 40, 24)
    assert masks.overlap((), 81, 100) == 17
    assert masks.overlap((), 17, 100) == 9
    assert masks.overlap((), 81, 6) == 6
    assert masks.overlap((40,), 81, 100) == 40


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("video", {}),
        ("mask", {"references": ["0" * 32 + ".png"], "mask": "0" * 32 + ".png"}),
        ("mask_builder", {"references": ["0" * 32 + ".png"], "mask_builder": "after"}),
        ("preprocess", {"image": "0" * 32 + ".png", "preprocess": "canny"}),
        ("mask", {"video": "CLIP", "mask": "CLIP", "mask_builder": "region", "region": (0, 0, 1, 1)}),
        ("region", {"video": "CLIP", "mask_builder": "region"}),
        ("region", {"video": "CLIP", "mask_builder": "region", "region": (0.5, 0, 0.5, 1)}),
        ("region", {"video": "CLIP", "region": (0, 0, 1, 1)}),
        ("outpaint", {"video": "CLIP", "mask_builder": "outpaint", "outpaint": (0, 0, 0, 0)}),
        ("preprocess", {"video": "CLIP", "mask_builder": "after", "preprocess": "canny"}),
        ("kept_frames", {"video": "CLIP", "mask_builder": "frames", "kept_frames": (9,)}),
        ("kept_frames", {"video": "CLIP", "mask_builder": "after", "kept_frames": (9,)}),
        ("kept_frames", {"video": "CLIP", "mask_builder": "before", "kept_frames": (1, 2)}),
        ("continues", {"video": "CLIP", "mask_builder": "before", "continues": "CLIP"}),
        ("continues", {"video": "CLIP", "mask_builder": "after", "continues": "0" * 32 + ".mp4"}),
        ("continues", {"video": "CLIP", "mask_builder": "after", "continues": "CLIP", "video_end": 1.0}),
    ],
)
def test_what_does_not_fit_together_is_refused(make_job, clip: str, field: str, values: dict) -> None:
    given = {name: clip if value == "CLIP" else value for name, value in values.items()}
    with pytest.raises(InvalidRequest) as caught:
        vace_conditioner(make_job(**given))
    assert caught.value.field == field


def _bytes(shapes: dict[str, list[int]]) -> int:
    """Of the tensors: bfloat16 in the side branch, else float32."""
    return sum(math.prod(shape) * (2 if name.startswith("vace") else 4) for name, shape in shapes.items())


def test_the_rows_are_the_published_models() -> None:
    small, large, preview = ROWS
    assert [row.id for row in ROWS] == ["wan2.1-vace-1.3b", "wan2.1-vace-14b", "vace-1.3b-preview"]
    for row, manifest in ((small, "vace-1.3B"), (large, "vace-14B"), (preview, "vace-1.3B")):
        shapes = json.loads((MANIFESTS / f"{manifest}.json").read_text())
        assert infer_config(shapes) == row.dit
        assert 0 < row.weights[Role.TRANSFORMER].size - _bytes(shapes) < 300_000  # headers
    assert all(
        row.defaults.shift == 16 and row.tasks == ("control", "i2v", "flf2v", "t2v", "t2i") for row in ROWS
    )

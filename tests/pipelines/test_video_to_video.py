"""Video to video: sizes and lengths from media, masks on the latent grid, and the whole way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.pipelines.conditioning_jobs import asked_of, ignore
from wan_core.catalog import ModelSpec, Role
from wan_core.engine import Engine
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_video
from wan_core.media.write import write_video
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.conditioning.video import latent_mask, video_conditioner
from wan_core.pipelines.encoding_media import load_clip, load_mask, to_pixels
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.settling import settle
from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.inputs import Given

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def clip(inputs: InputStore, tmp_path: Path) -> str:
    """17 frames of 48x32 at 8 a second, each brighter than the one before; kept."""
    shades = np.linspace(40, 200, 17).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (17, 32, 48, 3)).copy()
    frames[:, :16, :16] = (200, 40, 40)
    write_video([frames], tmp_path / "clip.mp4", 8, 0, {})
    return inputs.keep(tmp_path / "clip.mp4")


request = partial(asked_of, "tiny", "v2v")


def test_a_clip_takes_the_shape_of_its_video(tiny: ModelSpec, inputs: InputStore, clip: str) -> None:
    settled, warnings = settle(request(video=clip, width=64, height=64), tiny, inputs)
    assert (settled.width, settled.height, settled.num_frames) == (64, 48, 5)
    assert warnings == ()
    assert settle(settled, tiny, inputs) == (settled, ())
    asked = request(video=clip, width=64, height=64, match_input=False)
    assert (settle(asked, tiny, inputs)[0].width, settle(asked, tiny, inputs)[0].height) == (64, 64)


def test_a_clip_is_no_longer_than_its_video(tiny: ModelSpec, inputs: InputStore, clip: str) -> None:
    asked = request(video=clip, num_frames=17, video_start=0.5, video_end=2.0)
    settled, (warning,) = settle(asked, tiny, inputs)
    assert settled.num_frames == 9  # 12 frames, cut to 4n+1
    assert warning == "The video is shorter than 17 frames; 9 were made."
    with pytest.raises(InvalidRequest, match=r"video_start: 3 s is behind the end of the video \(2\.1 s\)"):
        settle(request(video=clip, video_start=3.0), tiny, inputs)


def test_a_clip_of_two_frames_gives_one_and_says_so(
    tiny: ModelSpec, settings: Settings, inputs: InputStore, tmp_path: Path
) -> None:
    write_video([np.full((2, 32, 48, 3), 90, np.uint8)], tmp_path / "two.mp4", 8, 0, {})
    asked = request(video=inputs.keep(tmp_path / "two.mp4"), num_frames=9, strength=0.9, seed=1)
    result = Engine(settings).generate(asked)
    assert result.request.num_frames == 1
    assert "The video is shorter than 9 frames; 1 were made." in result.warnings
    assert len(read_video(result.video).frames) == 1


def test_what_is_made_anew_on_the_latent_grid() -> None:
    mask = np.zeros((9, 16, 24), np.uint8)
    mask[0, 3, 3] = 255
    mask[6, 15, 23] = 128
    mask[3, 0, 8] = 127  # not above one half
    cells = latent_mask(mask)
    assert cells.shape == (1, 1, 3, 2, 3)
    assert cells.nonzero()[:, 2:].tolist() == [[0, 0, 0], [2, 1, 2]]
    assert latent_mask(mask[:1]).shape == (1, 1, 1, 2, 3)


def test_frames_are_trimmed_and_resampled(
    tiny: ModelSpec, settings: Settings, inputs: InputStore, clip: str
) -> None:
    asked = request(video=clip, width=48, height=32, fps=4, video_start=0.5, num_frames=5)
    job = ConditioningJob(ModelManager(settings), tiny, asked, inputs, ignore)
    frames = load_clip(job, Given(clip), 5)
    assert frames.shape == (5, 32, 48, 3)
    shades = frames[:, 24, 40, 1]
    expected = np.linspace(40, 200, 17)[[4, 6, 8, 10, 12]]
    np.testing.assert_allclose(shades, expected, atol=2.5)


def test_a_masks_first_channel_counts(
    settings: Settings, tiny: ModelSpec, inputs: InputStore, clip: str
) -> None:
    asked = request(video=clip, width=48, height=32, mask=clip)
    job = ConditioningJob(ModelManager(settings), tiny, asked, inputs, ignore)
    mask = load_mask(job, Given(clip), 5)
    assert mask.shape == (5, 32, 48)
    assert mask[0, 4, 4] == pytest.approx(200, abs=5)


def test_the_start_is_the_encoded_video(
    tiny: ModelSpec, settings: Settings, inputs: InputStore, clip: str
) -> None:
    manager = ModelManager(settings)
    asked = request(video=clip, width=48, height=32, num_frames=9)
    conditioning = video_conditioner(ConditioningJob(manager, tiny, asked, inputs, ignore))
    frames = to_pixels(read_video(inputs.path(clip)).frames[:9])
    with manager.use(tiny, Role.VAE, ignore) as vae, torch.inference_mode():
        expected = vae.encode(frames)
    torch.testing.assert_close(conditioning.start, expected, rtol=1e-4, atol=1e-4)
    assert conditioning.keep is None


def made(settings: Settings, **values: object) -> torch.Tensor:
    engine = Engine(settings)
    job_id = "-".join(f"{name}{value}" for name, value in values.items() if name != "video")[:80]
    engine.generate(request(**values), ignore, job_id)
    return load_latents(engine.latents_path(job_id))[0]


def test_strength_zero_returns_the_video_and_more_moves_away(settings: Settings, clip: str) -> None:
    kept = made(settings, video=clip, strength=0.0)
    ways = [(made(settings, video=clip, strength=s) - kept).square().mean().item() for s in (0.3, 0.6, 0.9)]
    assert kept.shape == (1, 16, 2, 2, 4)
    assert 0 < ways[0] < ways[1] < ways[2]


def test_outside_the_mask_the_video_stays(
    settings: Settings, inputs: InputStore, tmp_path: Path, clip: str
) -> None:
    mask = np.zeros((1, 32, 48, 3), np.uint8)
    mask[:, :, 24:] = 255
    Image.fromarray(mask[0]).save(tmp_path / "mask.png")
    name = inputs.keep(tmp_path / "mask.png")
    size = {"width": 48, "height": 32}
    kept = made(settings, video=clip, strength=0.0, **size)
    changed = made(settings, video=clip, strength=0.8, mask=name, **size)
    assert torch.equal(changed[..., :3], kept[..., :3])
    assert (changed[..., 3:] - kept[..., 3:]).abs().max() > 0.1

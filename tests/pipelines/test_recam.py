"""ReCamMaster: its ten paths against the authors' own tracks, and a video beside the clip."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from tests.pipelines.conditioning_jobs import asked_of, ignore
from tests.tiny import DIT, write_variant
from wan_core.catalog import MODELS, ModelSpec, Role, validate
from wan_core.catalog.community import RECAM_TASKS, ROWS
from wan_core.engine import Engine
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_video
from wan_core.media.write import write_video
from wan_core.pipelines.conditioning.recam import path_rows, preset_poses, recam_conditioner
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.encoding_media import to_pixels
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.settling import settle
from wan_core.schema import InvalidRequest, MediaError, Settings
from wan_core.schema.inputs import CameraPath

# Of the authors' example tracks, frames 40 and 80: the axes ahead, right and up of the camera in a world
# of Unreal Engine (ahead, right, up), and its place in centimetres. All begin unturned at _BEGIN.
_BEGIN = (3390, 1380, 240)
TRACKS: dict[CameraPath, tuple[str, str]] = {
    "pan-right": (
        "0.984995 0.17258 0  -0.17258 0.984995 0  0 0 1  3390 1380 240",
        "0.940432 0.339982 0  -0.339982 0.940432 0  0 0 1  3390 1380 240",
    ),
    "pan-left": (
        "0.984995 -0.17258 0  0.17258 0.984995 0  0 0 1  3390 1380 240",
        "0.940432 -0.339982 0  0.339982 0.940432 0  0 0 1  3390 1380 240",
    ),
    "tilt-up": (
        "0.996242 0 0.0866158  0 1 0  -0.0866158 0 0.996242  3390 1380 240",
        "0.984995 0 0.17258  0 1 0  -0.17258 0 0.984995  3390 1380 240",
    ),
    "tilt-down": (
        "0.996242 0 -0.0866158  0 1 0  0.0866158 0 0.996242  3390 1380 240",
        "0.984995 0 -0.17258  0 1 0  0.17258 0 0.984995  3390 1380 240",
    ),
    "zoom-in": (
        "1 0 0  0 1 0  0 0 1  3489.38 1380 240",
        "1 0 0  0 1 0  0 0 1  3588.76 1380 240",
    ),
    "zoom-out": (
        "1 0 0  0 1 0  0 0 1  3290.62 1380 240",
        "1 0 0  0 1 0  0 0 1  3191.24 1380 240",
    ),
    "translate-up": (
        "0.992372 0 -0.123276  0 1 0  0.123276 0 0.992372  3390 1380 289.689",
        "0.970496 0 -0.241117  0 1 0  0.241117 0 0.970496  3390 1380 339.379",
    ),
    "translate-down": (
        "0.992372 0 0.123276  0 1 0  -0.123276 0 0.992372  3390 1380 190.311",
        "0.970496 0 0.241117  0 1 0  -0.241117 0 0.970496  3390 1380 140.621",
    ),
    "arc-left": (
        "0.966355 0.257211 0  -0.257211 0.966355 0  0 0 1  3416.63 1280.62 240",
        "0.867575 0.497306 0  -0.497306 0.867575 0  0 0 1  3443.26 1181.24 240",
    ),
    "arc-right": (
        "0.966355 -0.257211 0  0.257211 0.966355 0  0 0 1  3416.63 1479.38 240",
        "0.867575 -0.497306 0  0.497306 0.867575 0  0 0 1  3443.26 1578.76 240",
    ),
}


def from_unreal(numbers: list[float]) -> np.ndarray:
    """(4, 4), camera to world, from the rows of a track, as ReCamMaster's own code turns them."""
    rows = np.eye(4)
    rows[:, :3] = np.reshape(numbers, (4, 3))
    camera_to_world = rows.T[:, [1, 2, 0, 3]]
    camera_to_world[:3, 1] *= -1
    camera_to_world[:3, 3] /= 100
    return camera_to_world


@pytest.mark.parametrize("path", get_args(CameraPath))
def test_every_path_is_the_authors_track(path: CameraPath) -> None:
    first = from_unreal([1, 0, 0, 0, 1, 0, 0, 0, 1, *_BEGIN])
    poses = preset_poses(path, 81)
    np.testing.assert_array_equal(poses[0], np.eye(4))
    for frame, text in zip((40, 80), TRACKS[path], strict=True):
        expected = np.linalg.inv(first) @ from_unreal([float(word) for word in text.split()])
        np.testing.assert_allclose(poses[frame, :3, :3], expected[:3, :3], atol=1.2e-6)
        np.testing.assert_allclose(poses[frame, :3, 3], expected[:3, 3], atol=6e-5)  # given to 0.1 mm


@pytest.mark.parametrize("path", get_args(CameraPath))
def test_poses_are_rotations(path: CameraPath) -> None:
    for pose in preset_poses(path, 9):
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_a_clip_of_another_length_goes_the_same_way() -> None:
    long, short = preset_poses("arc-left", 81), preset_poses("arc-left", 41)
    np.testing.assert_allclose(short, long[::2], atol=1e-12)
    np.testing.assert_array_equal(preset_poses("arc-left", 1), np.eye(4)[None])


def test_the_model_is_told_every_fourth_pose_row_by_row() -> None:
    poses = np.arange(9 * 16, dtype=float).reshape(9, 4, 4)
    rows = path_rows(poses)
    assert (rows.shape, rows.dtype) == ((1, 3, 12), torch.float32)
    assert rows[0, 1].tolist() == [*range(64, 76)]
    assert path_rows(preset_poses("pan-left", 81)).shape == (1, 21, 12)


@pytest.fixture
def recam(tiny_spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The tiny model with a random ReCamMaster in the place of its transformer."""
    variant = write_variant(tiny_spec, tmp_path / "recam", dataclasses.replace(DIT, camera_path_dim=12))
    spec = dataclasses.replace(variant, inputs=RECAM_TASKS)
    monkeypatch.setitem(MODELS, spec.id, spec)
    return spec


@pytest.fixture
def clip(inputs: InputStore, tmp_path: Path) -> str:
    """9 frames of 32x32 at 8 a second; kept."""
    frames = np.random.default_rng(0).integers(60, 200, (9, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video([frames], tmp_path / "clip.mp4", 8, 0, {})
    return inputs.keep(tmp_path / "clip.mp4")


request = partial(asked_of, "tiny-recam", "control")


def test_the_video_and_the_path_are_read(
    recam: ModelSpec, settings: Settings, inputs: InputStore, clip: str
) -> None:
    manager = ModelManager(settings)
    asked = request(video=clip, camera_path="zoom-in", num_frames=9)
    conditioning = recam_conditioner(ConditioningJob(manager, recam, asked, inputs, ignore))
    with manager.use(recam, Role.VAE, ignore) as vae, torch.inference_mode():
        expected = vae.encode(to_pixels(read_video(inputs.path(clip)).frames))
    torch.testing.assert_close(conditioning.dit.frame_latents, expected, rtol=1e-4, atol=1e-4)
    ahead = conditioning.dit.camera_path[0, :, 11]
    np.testing.assert_allclose(ahead, [0, 2 * 40 / 80.5, 2 * 80 / 80.5], rtol=1e-6)
    assert (conditioning.null, conditioning.bare, conditioning.idle) == (None, None, None)


def test_a_file_of_poses_replaces_the_path(
    recam: ModelSpec, settings: Settings, inputs: InputStore, clip: str, tmp_path: Path
) -> None:
    rows = [f"0 0.5 0.9 0.5 0.5 0 0 1 0 0 {5 - 0.25 * n} 0 1 0 0 0 0 1 0" for n in range(5)]
    (tmp_path / "poses.txt").write_text("a title\n" + "\n".join(rows))
    name = inputs.keep(tmp_path / "poses.txt")
    asked = request(video=clip, camera_path="zoom-in", camera_poses=name)
    job = ConditioningJob(ModelManager(settings), recam, asked, inputs, ignore)
    rows = recam_conditioner(job).dit.camera_path[0]
    assert rows[0].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert rows[1].tolist() == [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0]  # to the right, from the first pose
    with pytest.raises(InvalidRequest, match="camera_poses: the file has 5 poses, fewer than the 9 frames"):
        recam_conditioner(dataclasses.replace(job, request=asked.model_copy(update={"num_frames": 9})))


def test_the_size_is_the_models_and_bad_poses_are_refused_first(
    recam: ModelSpec, inputs: InputStore, clip: str, tmp_path: Path
) -> None:
    asked = request(video=clip, camera_path="zoom-in", width=48)
    settled, _ = settle(asked, recam, inputs)
    assert (settled.width, settled.height) == (48, 32)  # the video is square
    pose = "0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1"
    (tmp_path / "poses.txt").write_text(f"a title\n{pose}\n")
    with pytest.raises(MediaError, match="Line 2 of the camera poses has 17 numbers"):
        inputs.keep(tmp_path / "poses.txt")
    (tmp_path / "poses.txt").write_text(f"a title\n{pose} 0\n")
    name = inputs.keep(tmp_path / "poses.txt")
    with pytest.raises(InvalidRequest, match="the file has 1 poses"):
        settle(asked.model_copy(update={"camera_poses": name}), recam, inputs)


def test_another_path_gives_another_clip(recam: ModelSpec, settings: Settings, clip: str) -> None:
    engine = Engine(settings)
    made = []
    for path in ("pan-left", "pan-right"):
        asked = request(video=clip, camera_path=path, num_inference_steps=2)
        engine.generate(asked, ignore, path)
        made.append(load_latents(engine.latents_path(path))[0])
    assert made[0].shape == (1, 16, 2, 4, 4)
    assert (made[0] - made[1]).abs().max() > 1e-3


def test_a_video_and_a_path_are_required(recam: ModelSpec, clip: str) -> None:
    with pytest.raises(InvalidRequest, match="video: Tiny recam needs it and it is missing"):
        validate(request(camera_path="pan-left"))
    with pytest.raises(InvalidRequest, match="camera_path: Tiny recam needs it and it is missing"):
        validate(request(video=clip))


def test_the_row() -> None:
    row = next(row for row in ROWS if row.id == "recammaster-1.3b")
    assert row.dit == dataclasses.replace(MODELS["wan2.1-t2v-1.3b"].dit, camera_path_dim=12)
    assert row.dit.kind == "recam"
    assert (row.sizes, row.max_frames) == (((832, 480),), 81)

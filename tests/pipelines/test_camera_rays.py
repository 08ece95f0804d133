"""Camera tracks and rays: every direction by hand, the rays recomputed pixel by pixel, bad files refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from wan_core.media.camera_poses import LENS, CameraTrack, read_track
from wan_core.pipelines.camera_rays import camera_channels, move_camera, plucker_rays
from wan_core.schema import InvalidRequest, MediaError
from wan_core.schema.inputs import CameraMotion

SPEED = 1 / 54
IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"

# Where the camera itself is after one frame, in units of the speed: right, down, forward
CENTRES = {
    "left": (-1, 0, 0),
    "right": (1, 0, 0),
    "up": (0, -1, 0),
    "down": (0, 1, 0),
    "left-up": (-1, -1, 0),
    "left-down": (-1, 1, 0),
    "right-up": (1, -1, 0),
    "right-down": (1, 1, 0),
    "in": (0, 0, 1),
    "out": (0, 0, -1),
}


def entry_of_diffsynth(motion: str, frame: int) -> list[float]:
    """The 19 numbers of a frame as DiffSynth accumulates them, from diffsynth.md 2."""
    entry = [0.0, *LENS, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    for _ in range(frame):
        for word, index, sign in (
            ("left", 9, 1), ("right", 9, -1), ("up", 13, 1), ("down", 13, -1), ("in", 18, -1), ("out", 18, 1),
        ):  # fmt: skip
            if word in motion.split("-"):
                entry[index] += sign * SPEED
    return entry


def rays_by_hand(entry: list[float], first: list[float], width: int, height: int) -> np.ndarray:
    """(6, H, W): each pixel on its own, from 19 numbers of its frame and of the first."""
    fx, fy, cx, cy = entry[1:5]
    if width / height < 1280 / 720:
        fx = (height * 1280 / 720) * fx / width
    else:
        fy = (width / (1280 / 720)) * fy / height
    fx, fy, cx, cy = fx * width, fy * height, cx * width, cy * height
    matrices = [np.vstack([np.reshape(numbers[7:], (3, 4)), [0, 0, 0, 1]]) for numbers in (first, entry)]
    camera_to_first = matrices[0] @ np.linalg.inv(matrices[1])
    rays = np.empty((6, height, width))
    for row in range(height):
        for column in range(width):
            local = np.array([(column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy, 1.0])
            direction = camera_to_first[:3, :3] @ (local / math.sqrt(local @ local))
            origin = camera_to_first[:3, 3]
            rays[:, row, column] = [
                origin[1] * direction[2] - origin[2] * direction[1],
                origin[2] * direction[0] - origin[0] * direction[2],
                origin[0] * direction[1] - origin[1] * direction[0],
                *direction,
            ]
    return rays


@pytest.mark.parametrize("motion", get_args(CameraMotion))
def test_every_motion_moves_the_camera_where_its_name_says(motion: CameraMotion) -> None:
    track = move_camera(motion, SPEED, 5, shear=False)
    centres = track.seen_from_first()[:, :3, 3]
    for frame in range(5):
        assert centres[frame] == pytest.approx(np.array(CENTRES[motion]) * frame * SPEED, abs=1e-12)
        assert track.poses[frame, :3, :3].tolist() == np.eye(3).tolist()


def test_translations_are_those_of_the_pose_files_of_pai() -> None:
    left = move_camera("left", SPEED, 3, shear=False).poses[2, :3].flatten()
    up = move_camera("up", SPEED, 3, shear=False).poses[2, :3].flatten()
    assert left == pytest.approx([1, 0, 0, 0.037037037037037035, 0, 1, 0, 0, 0, 0, 1, 0], abs=1e-15)
    assert up == pytest.approx([1, 0, 0, 0, 0, 1, 0, 0.037037037037037035, 0, 0, 1, 0], abs=1e-15)


@pytest.mark.parametrize("motion", get_args(CameraMotion))
def test_sheared_tracks_are_those_of_diffsynth(motion: CameraMotion) -> None:
    track = move_camera(motion, SPEED, 5, shear=True)
    for frame in range(5):
        wanted = entry_of_diffsynth(motion, frame)
        assert track.lenses[frame].tolist() == wanted[1:5]
        assert track.poses[frame, :3].flatten() == pytest.approx(wanted[7:], abs=1e-12)


def test_zoom_is_the_same_either_way() -> None:
    moved, sheared = (move_camera("in", SPEED, 5, shear).poses for shear in (False, True))
    assert np.array_equal(moved, sheared)


def test_no_motion_stands_still() -> None:
    rays = camera_channels(move_camera(None, SPEED, 9, shear=False), 32, 16).reshape(6, 4, 3, 16, 32)
    assert np.abs(rays[:3]).max() == 0
    assert np.array_equal(rays, np.broadcast_to(rays[:, :1, :1], rays.shape))


@pytest.mark.parametrize("size", [(32, 18), (20, 24), (40, 8)], ids=["16:9", "tall", "wide"])
@pytest.mark.parametrize("shear", [False, True], ids=["moved", "sheared"])
@pytest.mark.parametrize("motion", get_args(CameraMotion))
def test_rays_of_every_motion(motion: CameraMotion, shear: bool, size: tuple[int, int]) -> None:
    width, height = size
    track = move_camera(motion, SPEED, 5, shear)
    views = track.seen_from_first()
    for frame in (0, 4):
        entry = [0.0, *track.lenses[frame], 0, 0, *track.poses[frame, :3].flatten()]
        first = [0.0, *LENS, 0, 0, *np.eye(4)[:3].flatten()]
        rays = plucker_rays(track.lenses[frame], views[frame], width, height)
        assert rays == pytest.approx(rays_by_hand(entry, first, width, height), abs=1e-12)


def test_one_ray_by_hand() -> None:
    # 2x2 pixels are taller than 16:9: fx = 0.5 * 16/9, fy = 0.5; the pixel at the top left has its middle
    # a quarter of the sides from the centre: x = -0.25 / fx, y = -0.25 / fy.
    lens = np.array([0.5, 0.5, 0.5, 0.5])
    view = np.eye(4)
    view[:3, 3] = (0, 0, 2)
    x, y = -0.25 / (0.5 * 16 / 9), -0.5
    length = math.sqrt(x * x + y * y + 1)
    ray = plucker_rays(lens, view, 2, 2)[:, 0, 0]
    assert ray == pytest.approx([-2 * y / length, 2 * x / length, 0, x / length, y / length, 1 / length])


def test_channels_hold_four_frames_of_each_number() -> None:
    width, height = 10, 6
    track = turning_track(9)
    channels = camera_channels(track, width, height)
    assert channels.shape == (24, 3, height, width)
    assert channels.dtype == np.float32
    rows = [[0.0, *lens, 0, 0, *pose[:3].flatten()] for lens, pose in zip(*vars(track).values(), strict=True)]
    rays = [rays_by_hand(row, rows[0], width, height) for row in rows]
    padded = [rays[0]] * 3 + rays
    for number in range(6):
        for latent in range(3):
            for t in range(4):
                found = channels[number * 4 + t, latent]
                assert np.abs(found - padded[latent * 4 + t][number]).max() < 1e-6


def test_a_single_frame_fills_its_latent_frame() -> None:
    channels = camera_channels(turning_track(1), 4, 4).reshape(6, 4, 1, 4, 4)
    assert np.array_equal(channels[:, 0], channels[:, 3])


def turning_track(frames: int) -> CameraTrack:
    """A camera that turns, moves and zooms, from a place of its own."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for frame in range(frames):
        angle = 0.3 + 0.05 * frame
        poses[frame, 0, [0, 2]] = math.cos(angle), math.sin(angle)
        poses[frame, 2, [0, 2]] = -math.sin(angle), math.cos(angle)
        poses[frame, :3, 3] = 0.1 * frame, 2 - 0.2 * frame, 0.5
    lenses = np.array([[0.5 + 0.01 * frame, 0.9, 0.5, 0.45] for frame in range(frames)])
    return CameraTrack(lenses, poses)


def write(folder: Path, text: str) -> Path:
    path = folder / "poses.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("title", ["", "https://example.org/a video\n", "\n", "\ufeff"])
@pytest.mark.parametrize("time", ["0 ", "158692025 ", ""], ids=["zero", "microseconds", "left out"])
def test_a_file_of_poses_is_read(tmp_path: Path, title: str, time: str) -> None:
    track = turning_track(5)
    rows = [
        " ".join(map(repr, map(float, (*lens, 0, 0, *pose[:3].flatten()))))
        for lens, pose in zip(track.lenses, track.poses, strict=True)
    ]
    found = read_track(write(tmp_path, title + "\n".join(time + row for row in rows) + "\n"))
    assert np.array_equal(found.lenses, track.lenses)
    assert np.array_equal(found.poses, track.poses)


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (
            f"0 0.5 0.9 0.5 0.5 0 {IDENTITY[:-2]}",
            "Line 2 of the camera poses has 17 numbers, not 19; write time",
        ),
        (
            f"0 0.5 0.9 0.5 0.5 0 0 0 {IDENTITY}",
            "Line 2 of the camera poses has 20 numbers, not 19; write time",
        ),
        (f"0 0.5 0.9 0.5 0.5 0 0 x {IDENTITY}", "Line 2 of the camera poses holds more than numbers; write"),
        (f"0 nan 0.9 0.5 0.5 0 0 {IDENTITY}", "Line 2 of the camera poses has a number that is not finite"),
        (f"0 0.5 0 0.5 0.5 0 0 {IDENTITY}", "Line 2 of the camera poses has the focal lengths 0.5 and 0;"),
        ("0 0.5 0.9 0.5 0.5 0 0 1 0 0 0 1 0 0 0 0 0 1 0", "Line 2 of the camera poses has a rotation that"),
    ],
    ids=["too few", "too many", "a word", "not finite", "no lens", "singular"],
)
def test_a_bad_line_is_named(tmp_path: Path, second: str, problem: str) -> None:
    good = f"0 0.5 0.9 0.5 0.5 0 0 {IDENTITY}"
    with pytest.raises(MediaError, match=problem):
        read_track(write(tmp_path, f"{good}\n{second}\n{good}\n"))


def test_blank_lines_count(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="Line 4 of the camera poses has 2 numbers"):
        read_track(write(tmp_path, f"title\n\n0 0.5 0.9 0.5 0.5 0 0 {IDENTITY}\n1 2\n"))


@pytest.mark.parametrize("text", ["", "only a title\n", "\n\n"])
def test_a_file_without_poses_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MediaError, match="holds no camera poses; write time fx fy cx cy 0 0"):
        read_track(write(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "poses.txt"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(MediaError, match="cannot be read as text"):
        read_track(path)


def test_a_track_is_cut_to_the_video_or_refused() -> None:
    track = turning_track(12)
    assert len(track.first(9)) == 9
    with pytest.raises(
        InvalidRequest, match="camera_poses: the file has 12 poses, fewer than the 81"
    ) as error:
        track.first(81)
    assert "Ask for 9 frames" in str(error.value)

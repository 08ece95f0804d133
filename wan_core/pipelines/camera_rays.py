"""How a camera moves, frame by frame, and the rays that a camera model reads (diffsynth 2).

A camera looks along +z; +x is right and +y is down.
"""

# T frames, F latent frames, H W pixels

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wan_core.models.vae.config import TEMPORAL_STRIDE, latent_frames
from wan_core.schema import InvalidRequest, MediaError
from wan_core.schema.inputs import CameraMotion

LENS = (0.532139961, 0.946026558, 0.5, 0.5)
"""The lens of a motion: focal lengths and centre (fx, fy, cx, cy) as parts of the sides."""

_LENS_ASPECT = 1280 / 720  # width / height of the picture that focal lengths are parts of
_RAY = 6  # numbers of a ray: its moment, then its direction
_NUMBERS = 19  # of a pose in a file: time, fx, fy, cx, cy, two zeros, and a 3x4 matrix row by row
_LAYOUT = "time fx fy cx cy 0 0 and the 3x4 matrix from world to camera, row by row"
_SINGULAR = 1e-6

# What a frame adds to the translation from world to camera: the world moves against the camera.
_STEPS: dict[CameraMotion, tuple[int, int, int]] = {
    "left": (1, 0, 0),
    "right": (-1, 0, 0),
    "up": (0, 1, 0),
    "down": (0, -1, 0),
    "left-up": (1, 1, 0),
    "left-down": (1, -1, 0),
    "right-up": (-1, 1, 0),
    "right-down": (-1, -1, 0),
    "in": (0, 0, -1),
    "out": (0, 0, 1),
}


@dataclass(frozen=True)
class CameraTrack:
    """A camera in every frame.

    Attributes:
        lenses: (T, 4), fx, fy, cx, cy as parts of the width and height of a 16:9 picture.
        poses: (T, 4, 4), world to camera.
    """

    lenses: np.ndarray
    poses: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)

    def first(self, num_frames: int) -> CameraTrack:
        """Its first frames.

        Raises:
            InvalidRequest: it has fewer; only a track from a file can.
        """
        if len(self) < num_frames:
            usable = (len(self) - 1) // TEMPORAL_STRIDE * TEMPORAL_STRIDE + 1
            raise InvalidRequest(
                "camera_poses",
                f"the file has {len(self)} poses, fewer than the {num_frames} frames of the video",
                f"Ask for {usable} frames, or give a pose for every frame.",
            )
        return CameraTrack(self.lenses[:num_frames], self.poses[:num_frames])

    def seen_from_first(self) -> np.ndarray:
        """(T, 4, 4), camera to world, where the world is that of the first camera."""
        relative = self.poses[0] @ np.linalg.inv(self.poses)
        relative[0] = np.eye(4)
        return relative


def move_camera(motion: CameraMotion | None, speed: float, num_frames: int, shear: bool) -> CameraTrack:
    """A camera that moves steadily from the origin; ``None`` stands still.

    Args:
        motion: where to. The signs are those of the pose files that PAI ships with its models.
        speed: distance from frame to frame. PAI's files have 1/54, and 2/54 for in and out.
        num_frames: T.
        shear: as DiffSynth-Studio does: left, right, up and down change two entries of the rotation in
            the place of the translation, so that the view is sheared and the camera stays.
    """
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    if motion is not None:
        way = np.arange(num_frames)[:, None] * (speed * np.array(_STEPS[motion], dtype=float))
        poses[:, :2, 2 if shear else 3] += way[:, :2]
        poses[:, 2, 3] += way[:, 2]
    return CameraTrack(np.tile(LENS, (num_frames, 1)), poses)


def read_track(path: Path) -> CameraTrack:
    """A track from a text with a pose on each line, as RealEstate10K and PAI write them.

    A line is ``time fx fy cx cy 0 0`` and the matrix; the time may be left out. The first line may be a
    title.

    Raises:
        MediaError: naming the line that is no pose and what belongs there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"The camera poses cannot be read as text; write {_LAYOUT} on each line.") from error
    if lines and _numbers(lines[0]) is None:
        lines[0] = ""
    rows = [_read_pose(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise MediaError(f"The file holds no camera poses; write {_LAYOUT} on each line.")
    table = np.array(rows)
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = table[:, 6:].reshape(-1, 3, 4)
    return CameraTrack(table[:, :4], poses)


def _numbers(line: str) -> list[float] | None:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return None


def _read_pose(line: str, number: int) -> list[float]:
    """The numbers of line ``number`` after the time."""
    row = _numbers(line)
    if row is None:
        raise MediaError(f"Line {number} of the camera poses holds more than numbers; write {_LAYOUT}.")
    if len(row) not in (_NUMBERS - 1, _NUMBERS):
        raise MediaError(
            f"Line {number} of the camera poses has {len(row)} numbers, not {_NUMBERS}; write {_LAYOUT}."
        )
    pose = row[-_NUMBERS + 1 :]
    if not all(map(math.isfinite, row)):
        raise MediaError(f"Line {number} of the camera poses has a number that is not finite; correct it.")
    if min(pose[:2]) <= 0:
        raise MediaError(
            f"Line {number} of the camera poses has the focal lengths {pose[0]:g} and {pose[1]:g}; "
            f"they must be above 0, such as {LENS[0]} and {LENS[1]}."
        )
    rotation = np.array(pose[6:]).reshape(3, 4)[:, :3]
    if abs(np.linalg.det(rotation)) < _SINGULAR:
        raise MediaError(
            f"Line {number} of the camera poses has a rotation that cannot be undone; the first three "
            "columns of its matrix must be a rotation, such as 1 0 0, 0 1 0, 0 0 1."
        )
    return pose


def plucker_rays(lens: np.ndarray, camera_to_world: np.ndarray, width: int, height: int) -> np.ndarray:
    """(6, H, W), float64: the ray through the middle of each pixel as (origin x direction, direction).

    Args:
        lens: (4,), see ``CameraTrack``. Its picture of 16:9 is cut to the shape of this one.
        camera_to_world: (4, 4).
    """
    fx, fy, cx, cy = lens
    if width / height < _LENS_ASPECT:
        fx = fx * height * _LENS_ASPECT / width
    else:
        fy = fy * width / _LENS_ASPECT / height
    x = ((np.arange(width) + 0.5) / width - cx) / fx
    y = ((np.arange(height) + 0.5) / height - cy) / fy
    rays = np.ones((3, height, width))
    rays[0], rays[1] = x[None, :], y[:, None]
    rays /= np.linalg.norm(rays, axis=0)
    turn, (right, down, forward) = camera_to_world[:3, :3], camera_to_world[:3, 3]
    crossed = np.array([[0, -forward, down], [forward, 0, -right], [-down, right, 0]])
    return np.tensordot(np.concatenate([crossed @ turn, turn]), rays, axes=1)


def camera_channels(track: CameraTrack, width: int, height: int) -> np.ndarray:
    """The rays of a track of 4n+1 frames, (24, F, H, W), float32, as a camera model reads them.

    The first frame counts four times, as it does in the VAE; the four frames t of a latent frame then
    share it: number c of a ray is in channel 4 c + t.
    """
    folded = np.empty((_RAY, TEMPORAL_STRIDE, latent_frames(len(track)), height, width), np.float32)
    views = zip(track.lenses, track.seen_from_first(), strict=True)
    for frame, (lens, camera_to_world) in enumerate(views):
        rays = plucker_rays(lens, camera_to_world, width, height)
        places = range(TEMPORAL_STRIDE) if frame == 0 else [frame + TEMPORAL_STRIDE - 1]
        for place in places:
            folded[:, place % TEMPORAL_STRIDE, place // TEMPORAL_STRIDE] = rays
    return folded.reshape(-1, *folded.shape[2:])

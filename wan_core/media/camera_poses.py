"""A camera in every frame of a video, and the text files that say so.

A camera looks along +z; +x is right and +y is down.
"""

# T frames

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wan_core.models.vae.config import TEMPORAL_STRIDE
from wan_core.schema import InvalidRequest, MediaError

LENS = (0.532139961, 0.946026558, 0.5, 0.5)
"""The lens of a motion: focal lengths and centre (fx, fy, cx, cy) as parts of the sides."""

_NUMBERS = 19  # of a pose in a file: time, fx, fy, cx, cy, two zeros, and a 3x4 matrix row by row
_LAYOUT = "time fx fy cx cy 0 0 and the 3x4 matrix from world to camera, row by row"
_SINGULAR = 1e-6


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

"""How a camera moves, frame by frame, and the rays that a camera model reads (diffsynth 2).

A camera looks along +z; +x is right and +y is down.
"""

# T frames, F latent frames, H W pixels

from __future__ import annotations

import numpy as np

from wan_core.media.camera_poses import LENS, CameraTrack
from wan_core.models.vae.config import TEMPORAL_STRIDE, latent_frames
from wan_core.schema.inputs import CameraMotion

_LENS_ASPECT = 1280 / 720  # width / height of the picture that focal lengths are parts of
_RAY = 6  # numbers of a ray: its moment, then its direction

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

"""ReCamMaster: a video rendered again along the path of a new camera (engines 4)."""

# T frames, F latent frames, h w latent grid

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wan_core.media.camera_poses import read_track
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.vae.config import TEMPORAL_STRIDE
from wan_core.pipelines.conditioning.types import Conditioning, ConditioningJob
from wan_core.pipelines.encoding_media import encode_chunks, load_clip, pixel_chunks
from wan_core.schema.inputs import CameraPath

_TARGET_METRES = 4.0  # how far ahead of the first camera the point is that a turning camera looks at
_ASIDE = 2.0  # metres that an arc ends to the side; 30 degrees around the target
_AHEAD = _TARGET_METRES * (1 - math.cos(math.radians(30)))  # and ahead; the camera goes along the chord

_LAST_SHARE = 80 / 80.5  # of its path that a camera has gone at the end, as in the authors' own tracks


@dataclass(frozen=True)
class _Path:
    """Where a camera ends: turned by degrees to the right and up, moved by metres right, down and ahead.

    One that ``aims`` turns so that it looks at the target all the way.
    """

    right: float = 0.0
    up: float = 0.0
    move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    aims: bool = False


_PATHS: dict[CameraPath, _Path] = {
    "pan-right": _Path(right=20),
    "pan-left": _Path(right=-20),
    "tilt-up": _Path(up=10),
    "tilt-down": _Path(up=-10),
    "zoom-in": _Path(move=(0, 0, 2)),
    "zoom-out": _Path(move=(0, 0, -2)),
    "translate-up": _Path(move=(0, -1, 0), aims=True),
    "translate-down": _Path(move=(0, 1, 0), aims=True),
    "arc-left": _Path(move=(-_ASIDE, 0, _AHEAD), aims=True),
    "arc-right": _Path(move=(_ASIDE, 0, _AHEAD), aims=True),
}


def preset_poses(path: CameraPath, num_frames: int) -> np.ndarray:
    """(T, 4, 4), camera to world, of one of the ten paths; the world is that of the first camera.

    With 81 frames they are the authors' own example tracks; a clip of another length goes the same way
    at another speed.
    """
    goal = _PATHS[path]
    shares = np.linspace(0, _LAST_SHARE if num_frames > 1 else 0, num_frames)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    for pose, share in zip(poses, shares, strict=True):
        x, y, z = pose[:3, 3] = share * np.array(goal.move)
        right, up = math.radians(share * goal.right), math.radians(share * goal.up)
        if goal.aims:
            right, up = math.atan2(-x, _TARGET_METRES - z), math.atan2(y, math.hypot(x, _TARGET_METRES - z))
        pose[:3, :3] = _turned(right, up)
    return poses


def _turned(right: float, up: float) -> np.ndarray:
    """(3, 3), camera to world, of a camera turned by radians; its columns are its right, down and ahead."""
    ahead = np.array([math.sin(right) * math.cos(up), -math.sin(up), math.cos(right) * math.cos(up)])
    side = np.array([math.cos(right), 0, -math.sin(right)])
    return np.stack([side, np.cross(ahead, side), ahead], axis=1)


def path_rows(poses: np.ndarray) -> Tensor:
    """(T, 4, 4) -> (1, F, 12), float32: the 3x4 matrix of every fourth frame, row by row."""
    return torch.from_numpy(poses[::TEMPORAL_STRIDE, :3].reshape(1, -1, 12)).float()


def build_recam(source: Tensor, poses: np.ndarray) -> Conditioning:
    """What all passes read, from the latents (1, C, F, h, w) of the video and T camera poses."""
    return Conditioning(DiTConditioning(frame_latents=source, camera_path=path_rows(poses)))


def recam_conditioner(job: ConditioningJob) -> Conditioning:
    """The request's ``video``, and its ``camera_poses`` or else its ``camera_path``."""
    request = job.request
    if request.camera_poses is not None:
        track = read_track(job.inputs.path(request.camera_poses)).first(request.num_frames)
        poses = track.seen_from_first()
    else:
        poses = preset_poses(request.camera_path, request.num_frames)
    frames = load_clip(job, request.given("video"), request.num_frames)
    return build_recam(encode_chunks(job, pixel_chunks(frames), request.num_frames), poses)

"""What moves where: dense optical flow between frames, drawn in the colours that VACE was trained on.

The flow is the minimum of TV-L1 (Zach, Pock and Bischof, 2007): brightness moves along, and the flow has
few edges. It is solved from coarse to fine, on the CPU. Where a picture is flat nothing tells its motion:
there the flow fades from that of the edges around to none, unlike that of a network that knows objects.
"""

# T frames, H W pixels; a flow is (2, H, W): how far a pixel moves to the right and down, in pixels

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_DATA_WEIGHT = 0.15  # of brightness in 0..255 against smoothness
_COUPLING = 0.3  # how far the two halves of the problem may be apart
_STILLNESS = 0.03  # of motion that nothing tells, against smoothness
_DUAL_STEP = 0.25  # above it, the iteration no longer converges
_WARPS, _ITERATIONS = 5, 15  # of each size
_SMALLEST_SIDE = 8  # pixels, of the coarsest size
_LARGEST_SIDE = 512  # frames are scaled down to it; flow is smooth, and time grows with the area

# The colours of the wheel as anchors: from the right by way of down, left and up, as RAFT and the Middlebury
# benchmark draw it
_ANCHORS = (0, 15, 21, 25, 36, 49, 55)
_RED = (255, 255, 0, 0, 0, 255, 255)
_GREEN = (0, 255, 255, 255, 0, 0, 0)
_BLUE = (0, 0, 0, 255, 255, 255, 0)
_LAST_COLOUR = 54


def flow_pictures(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Frames (T, H, W, 3), uint8 -> T pictures (H, W, 3) of how each was reached from the one before.

    Of the first, that is how the second is reached, as in VACE's own annotator. What stands still is white.
    """
    if len(frames) == 1:
        yield np.full_like(frames[0], 255)
        return
    for index in range(len(frames)):
        if index != 1:
            last = max(index, 1)
            picture = colour_flow(estimate_flow(frames[last - 1], frames[last]).numpy())
        yield picture


@torch.inference_mode()
def estimate_flow(first: np.ndarray, second: np.ndarray) -> Tensor:
    """The flow (2, H, W), float32, that leads from a frame (H, W, 3), uint8, to another."""
    height, width = first.shape[:2]
    pyramid = [torch.stack([_grey(first), _grey(second)])[:, None]]
    if max(height, width) > _LARGEST_SIDE:
        pyramid = [_scaled(pyramid[0], _LARGEST_SIDE / max(height, width))]
    while min(pyramid[-1].shape[2:]) >= 2 * _SMALLEST_SIDE:
        pyramid.append(_scaled(pyramid[-1], 0.5))
    flow = torch.zeros(1, 2, *pyramid[-1].shape[2:])
    for pair in reversed(pyramid):
        flow = _resized_flow(flow, *pair.shape[2:])
        for _ in range(_WARPS):
            flow = _median(_refined(flow, pair[:1], pair[1:]))
    return _resized_flow(flow, height, width)[0]


def colour_flow(flow: np.ndarray) -> np.ndarray:
    """A flow (2, H, W) as a picture (H, W, 3), uint8: hue is direction, full colour the highest speed."""
    across, down = flow
    speed = np.hypot(across, down)
    speed = speed / (speed.max() + 1e-5)
    place = np.arctan2(down, across) / (2 * math.pi) % 1 * _LAST_COLOUR
    colours = np.stack([np.interp(place, _ANCHORS, each) for each in (_RED, _GREEN, _BLUE)], axis=-1)
    return (255 - speed[..., None] * (255 - colours)).astype(np.uint8)


def _refined(flow: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """A better flow (1, 2, H, W): brightness (1, 1, H, W) is taken to change evenly near where it is now."""
    warped = _warped(second, flow)
    slope = torch.cat(_central(warped), dim=1)
    steepness = (slope**2).sum(1, keepdim=True)
    rest = warped - first - (slope * flow).sum(1, keepdim=True)
    reach = _DATA_WEIGHT * _COUPLING
    duals = torch.zeros(2, 2, *flow.shape[2:])  # of each half of the flow: across and down
    for _ in range(_ITERATIONS):
        error = rest + (slope * flow).sum(1, keepdim=True)
        step = (-error / steepness.clamp_min(1e-6)).clamp(-reach, reach)
        flow = F.softshrink(flow + step * slope, _STILLNESS * _COUPLING) + _COUPLING * _divergence(duals)
        change = torch.stack(_forward(flow), dim=2)[0]
        length = change.norm(dim=1, keepdim=True)
        pace = _DUAL_STEP / _COUPLING
        duals = (duals + pace * change) / (1 + pace * length)
    return flow


def _grey(frame: np.ndarray) -> Tensor:
    """(H, W, 3) -> brightness (H, W) in 0..255."""
    return torch.from_numpy(frame.astype(np.float32)) @ torch.tensor([0.299, 0.587, 0.114])


def _scaled(pictures: Tensor, factor: float) -> Tensor:
    height, width = (max(round(side * factor), 1) for side in pictures.shape[2:])
    return F.interpolate(pictures, size=(height, width), mode="bilinear", antialias=True)


def _resized_flow(flow: Tensor, height: int, width: int) -> Tensor:
    factors = torch.tensor([width / flow.shape[3], height / flow.shape[2]])
    return F.interpolate(flow, size=(height, width), mode="bilinear") * factors[:, None, None]


def _warped(picture: Tensor, flow: Tensor) -> Tensor:
    """The picture (1, 1, H, W) as it is seen from where the flow begins."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    across = (x + flow[0, 0] + 0.5) * 2 / width - 1
    down = (y + flow[0, 1] + 0.5) * 2 / height - 1
    grid = torch.stack([across, down], dim=-1)[None]
    return F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _central(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes across and down, from the pixels on both sides."""
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    level, upright = padded[..., 1:-1, :], padded[..., 1:-1]
    return (level[..., 2:] - level[..., :-2]) / 2, (upright[..., 2:, :] - upright[..., :-2, :]) / 2


def _forward(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the next pixel across and down; 0 at the edge."""
    across, down = torch.zeros_like(flow), torch.zeros_like(flow)
    across[..., :-1], down[..., :-1, :] = flow.diff(dim=-1), flow.diff(dim=-2)
    return across, down


def _divergence(duals: Tensor) -> Tensor:
    """Duals (2, 2, H, W) -> (1, 2, H, W): what ``_forward`` is the negative transpose of."""
    across, down = duals[:, 0].clone(), duals[:, 1].clone()
    across[..., -1], down[..., -1, :] = 0, 0
    across[..., 1:] -= duals[:, 0, :, :-1]
    down[:, 1:] -= duals[:, 1, :-1]
    return (across + down)[None]


def _median(flow: Tensor) -> Tensor:
    """Each of both halves without what its eight neighbours do not bear out."""
    padded = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    around = padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
    return around.median(dim=-1).values

"""Control videos drawn from plain ones: by rules, or with small models that are fetched when asked for.

The models run on the CPU: the device belongs to the video model.
"""

# T frames, H W pixels; frames are uint8 RGB

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from wan_core.catalog.helpers import DEPTH, JOINTS, PEOPLE
from wan_core.media.preprocess import PREPROCESSORS
from wan_core.pipelines.components import ComponentSource
from wan_core.pipelines.optical_flow import flow_pictures
from wan_core.pipelines.skeleton import Joints, draw_skeletons
from wan_core.schema import Emit, ProgressEvent, Stage, WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

UNDRAWN = ("none", "as-is")
"""Kinds of control for which the video itself is the control."""

_DEPTH_SIDE = 518  # pixels, what Depth Anything was trained on
_DETECTOR_SIDE = 640
_PERSON = 0  # class of the detector, by the order of COCO
_SURE_PERSON = 0.5
_BOX_MARGIN = 1.25  # a person's box is enlarged by this before its joints are looked for


def draw_control(frames: np.ndarray, kind: str, source: ComponentSource, emit: Emit) -> np.ndarray:
    """The control video ``kind`` (a request's ``preprocess``) of frames (T, H, W, 3); the same shape.

    Raises:
        DownloadError: a model that it needs is not here and cannot be fetched.
        WeightsError: the model's files are damaged.
    """
    if kind == "depth":
        return estimate_depth(frames, source.helper(DEPTH, emit), emit)
    if kind == "pose":
        people, joints = source.helper(PEOPLE, emit), source.helper(JOINTS, emit)
        return estimate_pose(frames, people, joints, emit)
    if kind == "flow":
        pairs = zip(_reported(frames, "flow", emit), flow_pictures(frames), strict=True)
        return np.stack([picture for _, picture in pairs])
    return frames if kind in UNDRAWN else PREPROCESSORS[kind](frames)


@torch.inference_mode()
def estimate_depth(frames: np.ndarray, folder: Path, emit: Emit) -> np.ndarray:
    """(T, H, W, 3) -> the same, grey, what is nearest white.

    The brightness is scaled over the whole clip, so that it does not flicker.

    Raises:
        WeightsError: ``folder`` holds no Depth Anything model.
    """
    from transformers import DepthAnythingForDepthEstimation

    model = _load(DepthAnythingForDepthEstimation, folder)
    patch = model.config.patch_size
    height, width = frames.shape[1:3]
    maps = []
    for frame in _reported(frames, "depth", emit):
        across, down = _depth_size(width, height, patch)
        pixels = _normalised(Image.fromarray(frame).resize((across, down), Image.Resampling.BICUBIC))
        depth = model(pixels[None]).predicted_depth[:, None]
        maps.append(F.interpolate(depth, size=(height, width), mode="bicubic", align_corners=False)[0, 0])
    depths = torch.stack(maps)
    low, high = depths.min(), depths.max()
    scaled = (depths - low) / (high - low).clamp_min(torch.finfo().tiny) * 255
    return scaled.round().to(torch.uint8)[..., None].expand(-1, -1, -1, 3).contiguous().numpy()


@torch.inference_mode()
def estimate_pose(frames: np.ndarray, people: Path, joints: Path, emit: Emit) -> np.ndarray:
    """(T, H, W, 3) -> the same, coloured skeletons of all people on black.

    Args:
        people: folder of an RT-DETR model that finds them.
        joints: folder of a ViTPose model of the 17 joints of COCO.

    Raises:
        WeightsError: a folder holds no such model.
    """
    from transformers import RTDetrForObjectDetection, VitPoseForPoseEstimation

    detector, estimator = _load(RTDetrForObjectDetection, people), _load(VitPoseForPoseEstimation, joints)
    drawn = []
    for frame in _reported(frames, "pose", emit):
        boxes = find_people(detector, frame)
        skeletons = find_joints(estimator, frame, boxes) if len(boxes) else []
        drawn.append(draw_skeletons(skeletons, frame.shape[0], frame.shape[1]))
    return np.stack(drawn)


def find_people(detector: torch.nn.Module, frame: np.ndarray) -> Tensor:
    """A frame (H, W, 3) -> boxes (N, 4) of centre and size in pixels: x, y, width, height."""
    height, width = frame.shape[:2]
    squashed = Image.fromarray(frame).resize((_DETECTOR_SIDE, _DETECTOR_SIDE), Image.Resampling.BILINEAR)
    found = detector(_tensor(squashed)[None])
    sure = found.logits[0, :, _PERSON].sigmoid() > _SURE_PERSON
    return found.pred_boxes[0][sure] * torch.tensor([width, height, width, height])


def find_joints(estimator: torch.nn.Module, frame: np.ndarray, boxes: Tensor) -> list[Joints]:
    """The joints of each of the boxes (N, 4): positions (17, 2), x and y in pixels, and scores (17,)."""
    rows, columns = estimator.config.backbone_config.image_size
    boxes = _of_aspect(boxes, columns / rows)
    picture = _normalised(Image.fromarray(frame))
    crops = torch.cat([crop_box(picture, box, rows, columns) for box in boxes])
    heat = estimator(crops).heatmaps
    places, scores = find_peaks(heat)
    size = torch.tensor([heat.shape[3] - 1, heat.shape[2] - 1])
    positions = boxes[:, None, :2] + (places / size - 0.5) * boxes[:, None, 2:]
    return [(p.numpy(), s.numpy()) for p, s in zip(positions, scores, strict=True)]


def crop_box(picture: Tensor, box: Tensor, rows: int, columns: int) -> Tensor:
    """The part (1, 3, rows, columns) of a picture (3, H, W) in a box of centre and size; 0 outside of it.

    The first and last pixels lie on the edges of the box.
    """
    height, width = picture.shape[1:]
    x = box[0] + torch.linspace(-0.5, 0.5, columns) * box[2]
    y = box[1] + torch.linspace(-0.5, 0.5, rows) * box[3]
    down, across = torch.meshgrid(2 * y / (height - 1) - 1, 2 * x / (width - 1) - 1, indexing="ij")
    grid = torch.stack([across, down], dim=-1)[None]
    return F.grid_sample(picture[None], grid, mode="bilinear", align_corners=True)


def find_peaks(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Heat (N, J, rows, columns) -> where each map is highest, (N, J, 2) as x and y, and how high, (N, J).

    A parabola through the neighbours gives the place between the cells.
    """
    columns = heat.shape[3]
    scores, index = heat.flatten(2).max(dim=-1)
    y, x = index // columns, index % columns
    padded = F.pad(heat, (1, 1, 1, 1), mode="reflect").flatten(2)

    def at(dy: int, dx: int) -> Tensor:
        place = (y + 1 + dy) * (columns + 2) + x + 1 + dx
        return padded.gather(2, place[..., None])[..., 0]

    shifts = []
    for before, after in ((at(0, -1), at(0, 1)), (at(-1, 0), at(1, 0))):
        bend = (2 * scores - before - after).clamp_min(1e-6)
        shifts.append(((after - before) / (2 * bend)).clamp(-0.5, 0.5))
    return torch.stack([x + shifts[0], y + shifts[1]], dim=-1), scores


def _of_aspect(boxes: Tensor, aspect: float) -> Tensor:
    """Boxes (N, 4) enlarged to the shape of what the estimator sees, with a margin."""
    width = torch.maximum(boxes[:, 2], boxes[:, 3] * aspect) * _BOX_MARGIN
    return torch.stack([boxes[:, 0], boxes[:, 1], width, width / aspect], dim=1)


def _depth_size(width: int, height: int, patch: int) -> tuple[int, int]:
    """(width, height) in whole patches, of about the picture's shape and scaled as little as can be to
    give one side the length that the model was trained on."""
    scale = min((_DEPTH_SIDE / width, _DEPTH_SIDE / height), key=lambda each: abs(1 - each))
    across, down = (max(round(side * scale / patch), 1) * patch for side in (width, height))
    return across, down


def _tensor(picture: Image.Image) -> Tensor:
    """(3, H, W), float32 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _normalised(picture: Image.Image) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    return (_tensor(picture) - mean) / std


def _load(kind: type[PreTrainedModel], folder: Path) -> PreTrainedModel:
    """A model with every one of its weights from the files; transformers would make up what they lack."""
    try:
        model, found = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        lacking = found["missing_keys"] or found["mismatched_keys"]
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(folder) from error
    if lacking:
        raise _damaged(folder)
    return model.eval()


def _damaged(folder: Path) -> WeightsError:
    return WeightsError(f"{folder} holds no such model, or it is damaged; delete it to fetch it again.")


def _reported(frames: np.ndarray, kind: str, emit: Emit) -> Iterator[np.ndarray]:
    """Each of the frames, told before it is worked on."""
    for done, frame in enumerate(frames):
        emit(
            ProgressEvent(
                stage=Stage.ENCODE, step=done, total=len(frames), message=f"Drawing the {kind}", part=kind
            )
        )
        yield frame

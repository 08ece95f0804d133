"""Jobs for tests of conditioners: kept pictures and videos, and a request that is settled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wan_core.catalog import ModelSpec, resolve
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.media.write import write_video
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.schema import GenerationRequest, ProgressEvent, Settings
from wan_core.schema.request import Task

WIDTH, HEIGHT = 48, 32


def ignore(event: ProgressEvent) -> None:
    """An emit that nobody hears."""


def asked_of(model: str, task: Task, **values: object) -> GenerationRequest:
    """A resolved request, the same every time."""
    given = {"model": model, "task": task, "prompt": "a red circle", "seed": 1, **values}
    return resolve(GenerationRequest.parse(given))


def random_frames(count: int, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3), uint8: smooth and different everywhere."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.BICUBIC)) for f in small])


def pixels(frames: np.ndarray) -> Tensor:
    """(T, H, W, 3), uint8 -> (1, 3, T, H, W) in [-1, 1]."""
    return torch.from_numpy(frames.astype(np.float32) / 127.5 - 1).permute(3, 0, 1, 2)[None]


class Desk:
    """Keeps media and hands out jobs of one model."""

    def __init__(self, spec: ModelSpec, settings: Settings, folder: Path) -> None:
        self.spec = spec
        self.inputs = InputStore(settings.inputs_dir)
        self.manager = ModelManager(settings)
        self._folder = folder

    def picture(self, frame: np.ndarray) -> str:
        """The kept name of a picture (H, W, 3)."""
        Image.fromarray(frame).save(self._folder / "picture.png")
        return self.inputs.keep(self._folder / "picture.png")

    def video(self, frames: np.ndarray) -> str:
        """The kept name of a video (T, H, W, 3) at 8 frames a second, all but lossless."""
        write_video([frames], self._folder / "video.mp4", 8, 0, {})
        return self.inputs.keep(self._folder / "video.mp4")

    def job(self, emit: Callable[[ProgressEvent], None] = ignore, **values: object) -> ConditioningJob:
        """A job of a settled request."""
        given = {
            "model": self.spec.id,
            "prompt": "a red circle",
            "seed": 1,
            "width": WIDTH,
            "height": HEIGHT,
            "num_frames": 9,
            "fps": 8,
            "num_inference_steps": 2,
            "guidance_scale": 2.0,
            "negative_prompt": "",
            "shift": 3.0,
            "scheduler": "unipc",
            "match_input": False,
            **values,
        }
        return ConditioningJob(self.manager, self.spec, GenerationRequest.parse(given), self.inputs, emit)

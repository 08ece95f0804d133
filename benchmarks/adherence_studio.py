"""What the adherence benchmarks share: the studio that they ask for clips, and the rows that they report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.media.write import write_image, write_video
from wan_core.schema import GenerationRequest, Settings

FPS = 8
_EXACT = 0  # H.264's quality: of what is given and of what is measured, as little as possible is lost


@dataclass(frozen=True)
class Row:
    """One figure: a share in [0, 1], or decibels. Without a target it is only told."""

    name: str
    value: float
    target: float | None = None
    unit: str = "share"

    @property
    def is_met(self) -> bool:
        return self.target is None or self.value >= self.target

    def __str__(self) -> str:
        show = "{:.1%}".format if self.unit == "share" else f"{{:.2f}} {self.unit}".format
        told = f"{self.name}: {show(self.value)}"
        if self.target is None:
            return told
        return f"{told}, target {show(self.target)}{'' if self.is_met else ', MISSED'}"


def pixels(clip: Tensor) -> np.ndarray:
    """(3, T, H, W) in [-1, 1] -> (T, H, W, 3), uint8."""
    return ((clip + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()


class Studio:
    """The normal engine in a home of its own; clips are read back from the files that it writes."""

    def __init__(self, home: Path) -> None:
        self._engine = Engine(Settings(home=home, offline=True))
        self._scratch = home / "given"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self.made = 0

    def keep_picture(self, frame: np.ndarray) -> str:
        """(H, W, 3) -> the name to put in a request."""
        path = self._scratch / "picture.png"
        write_image(frame, path, "png", {})
        return self._engine.inputs.keep(path)

    def keep_video(self, frames: np.ndarray) -> str:
        """(T, H, W, 3) -> the name to put in a request."""
        path = self._scratch / "video.mp4"
        write_video(iter([frames]), path, FPS, _EXACT, {})
        return self._engine.inputs.keep(path)

    def make(self, model: str, task: str, prompt: str, seed: int, **fields: object) -> np.ndarray:
        """The frames (T, H, W, 3) of a new video."""
        crf = {} if task == "t2v" else {"crf": _EXACT}
        values = {"model": model, "task": task, "prompt": prompt, "seed": seed, "preview_every": 0}
        request = GenerationRequest.parse({**values, **crf, **fields})
        result = self._engine.generate(request, lambda event: None, f"adherence{self.made}")
        self.made += 1
        return read_video(result.video).frames

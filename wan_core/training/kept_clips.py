"""Tensors of drawn clips, made once and kept in a folder, for the models that see more than text.

A folder holds files of a few hundred clips each, and making them goes on behind the last whole one. The
clips of a group have one shape, so that a batch comes from one group.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

log = logging.getLogger(__name__)

CLIPS_PER_FILE = 250
_SUFFIX = ".safetensors"

Make = Callable[[str, int], dict[str, Tensor]]
"""(group, index) -> the clip's tensors, without a batch dimension; a function of these two alone."""


def keep_clips(folder: Path, clips_per_group: Mapping[str, int], make: Make) -> None:
    """Make what is not there yet, one file ``<group>-<first index>`` after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    for group, count in clips_per_group.items():
        for first in range(0, count, CLIPS_PER_FILE):
            file = folder / f"{group}-{first:06}{_SUFFIX}"
            if file.exists():
                continue
            clips = [make(group, index) for index in range(first, min(first + CLIPS_PER_FILE, count))]
            partial = file.with_suffix(".partial")
            save_file({name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}, partial)
            partial.rename(file)
            log.info("made %s: %d of %d clips", group, first + len(clips), count)


@dataclass(frozen=True)
class Picks:
    """Clips of one group: which, their tensors (B, ...), and the random numbers of their step."""

    group: str
    indices: list[int]
    tensors: dict[str, Tensor]
    rng: random.Random


class KeptClips:
    """The clips of a folder; ``pick`` is a function of the step alone."""

    def __init__(self, folder: Path) -> None:
        files: dict[str, list[dict[str, Tensor]]] = defaultdict(list)
        for file in sorted(folder.glob(f"*{_SUFFIX}")):
            files[file.stem.rpartition("-")[0]].append(load_file(file))
        if not files:
            raise FileNotFoundError(f"{folder} holds no kept clips; run the part of `train` that makes them.")
        self._groups = {
            group: {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            for group, parts in files.items()
        }

    def pick(self, step: int, size: int) -> Picks:
        """``size`` clips of one group, larger groups more often."""
        rng = random.Random(f"batch {step}")
        counts = {group: len(next(iter(tensors.values()))) for group, tensors in self._groups.items()}
        (group,) = rng.choices(list(counts), list(counts.values()))
        indices = [rng.randrange(counts[group]) for _ in range(size)]
        return Picks(group, indices, {n: t[indices] for n, t in self._groups[group].items()}, rng)

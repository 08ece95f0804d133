"""What the parts of the recipe have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wan_core.training.loop import LoopConfig

TOKENIZER_FOLDER = "google/umt5-xxl"


@dataclass(frozen=True)
class Part:
    """One step of the recipe."""

    run: Callable[[argparse.Namespace], None]
    help: str
    steps: int = 0
    learning_rate: float = 0.0


def loop_config(args: argparse.Namespace, folder: Path) -> LoopConfig:
    """How the loop runs whose checkpoints are in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    return LoopConfig(folder, args.steps, args.learning_rate, precision=args.precision, minutes=args.minutes)

"""``python -m wan_core train …``: make the demo model from nothing, part by part."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from wan_core.catalog.demo import DEMO_FOLDER
from wan_core.training.steered_parts import STEERED_PARTS
from wan_core.training.text_parts import TEXT_PARTS

PARTS = {**TEXT_PARTS, **STEERED_PARTS}


def main(argv: list[str]) -> int:
    """Train the demo models, part by part in this order; each part resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="wan_core train", description=main.__doc__)
    commands = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        command = commands.add_parser(name, help=part.help)
        command.add_argument("--folder", type=Path, required=True, help="checkpoints and kept latents")
        command.add_argument("--model", type=Path, default=DEMO_FOLDER, help="where the models are written")
        if part.steps:
            command.add_argument("--steps", type=int, default=part.steps)
            command.add_argument("--learning-rate", type=float, default=part.learning_rate)
            command.add_argument("--minutes", type=float, default=0.0, help="stop after; 0 is no limit")
            command.add_argument(
                "--warm-start", action="store_true", help="refine --model's weights if there is no checkpoint"
            )
            command.add_argument("--precision", default="bf16", choices=("no", "bf16", "fp16"))
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.folder.mkdir(parents=True, exist_ok=True)
    args.model.mkdir(parents=True, exist_ok=True)
    PARTS[args.part].run(args)
    return 0

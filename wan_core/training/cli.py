"""``python -m wan_core train …``: make the demo model from nothing."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from wan_core.catalog import MODELS
from wan_core.training import vae_training
from wan_core.training.loop import LoopConfig, TrainingLoop

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run one part of the training; every part resumes where its folder's checkpoint stands."""
    parser = argparse.ArgumentParser(prog="wan_core train", description=main.__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    vae = parts.add_parser("vae", help="train the VAE on drawn clips")
    vae.set_defaults(run=_train_vae, steps=vae_training.PHASES[-1].until, learning_rate=1e-3)
    for part in (vae,):
        part.add_argument("--folder", type=Path, required=True, help="checkpoints; resumed if present")
        part.add_argument("--minutes", type=float, default=0.0, help="stop after this time; 0: no limit")
        part.add_argument("--steps", type=int)
        part.add_argument("--learning-rate", type=float)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.folder.mkdir(parents=True, exist_ok=True)
    args.run(args)
    return 0


def _train_vae(args: argparse.Namespace) -> None:
    objective = vae_training.VAEObjective(vae_training.build(MODELS["demo"].vae))
    config = LoopConfig(args.folder, args.steps, args.learning_rate, minutes=args.minutes)
    loop = TrainingLoop(objective, config)
    loop.resume()
    loop.run(vae_training.loss_at)
    vae = loop.averaged.module.vae.eval()
    log.info("reconstruction %.2f dB", vae_training.reconstruction_psnr(vae))
    torch.save(vae.state_dict(), args.folder / "vae.pth")

"""``python -m wan_core train …``: make the demo model from nothing, part by part."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from wan_core.catalog import MODELS, Role
from wan_core.manager.devices import choose_device
from wan_core.manager.loading import load_text_encoder, load_transformer, load_vae
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.training import vae_training
from wan_core.training.dit_training import FlowMatching, FlowMatchingData
from wan_core.training.export import VAE_FILE, export_transformer, export_vae
from wan_core.training.latents import LatentSet, write_latents
from wan_core.training.loop import LoopConfig, TrainingLoop
from wan_core.training.tokenizer import write_tokenizer

log = logging.getLogger(__name__)

SPEC = MODELS["demo"]
TOKENIZER_FOLDER = "google/umt5-xxl"
LATENTS_FILE = "latents.safetensors"
_SCALING_CLIPS = 128  # clips whose latents decide the VAE's scaling and its preview colours


@dataclass(frozen=True)
class Part:
    """One step of the recipe."""

    run: Callable[[argparse.Namespace], None]
    help: str
    steps: int = 0
    learning_rate: float = 0.0


def main(argv: list[str]) -> int:
    """Train the demo model: tokenizer, vae, latents, dit, in this order; each resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="wan_core train", description=main.__doc__)
    commands = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        command = commands.add_parser(name, help=part.help)
        command.add_argument("--folder", type=Path, required=True, help="checkpoints and kept latents")
        command.add_argument("--model", type=Path, default=SPEC.folder, help="where the model is written")
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


def _train_tokenizer(args: argparse.Namespace) -> None:
    write_tokenizer(args.model / TOKENIZER_FOLDER)


def _train_vae(args: argparse.Namespace) -> None:
    vae = vae_training.build(SPEC.vae)
    if args.warm_start:
        vae.load_state_dict(load_vae(args.model, SPEC.weights[Role.VAE].files, torch.float32).state_dict())
    loop = TrainingLoop(vae_training.VAEObjective(vae), _loop_config(args, args.folder / "vae"))
    if not loop.resume() and args.warm_start:
        vae_training.skip_to_refinement(loop)
    vae_training.train(loop)
    vae = loop.averaged.module.vae.cpu().eval()
    samples = vae_training.clips(0, _SCALING_CLIPS, SPEC.defaults.num_frames)
    vae_training.adopt_official_scaling(vae, samples)
    export_vae(vae, args.model, samples)
    log.info("reconstruction %.2f dB", vae_training.reconstruction_psnr(vae))


def _write_latents(args: argparse.Namespace) -> None:
    vae = load_vae(args.model, SPEC.weights[Role.VAE].files, torch.float32).to(choose_device("auto"))
    write_latents(vae, args.folder / LATENTS_FILE)


def _train_dit(args: argparse.Namespace) -> None:
    latents = LatentSet(args.folder / LATENTS_FILE)
    data = FlowMatchingData(latents, PromptTokenizer(args.model / TOKENIZER_FOLDER, SPEC.dit.text_len))
    objective = FlowMatching(SPEC)
    if args.warm_start:
        files = SPEC.weights
        dit = load_transformer(args.model, files[Role.TRANSFORMER].files, torch.float32)
        encoder = load_text_encoder(args.model, files[Role.TEXT_ENCODER].files, torch.float32)
        objective.dit.load_state_dict(dit.state_dict())
        objective.text_encoder.load_state_dict(encoder.state_dict())
    loop = TrainingLoop(objective, _loop_config(args, args.folder / "dit"))
    loop.resume()
    loop.run(data.loss_at)
    export_transformer(loop.averaged.module, args.model)


def _loop_config(args: argparse.Namespace, folder: Path) -> LoopConfig:
    folder.mkdir(parents=True, exist_ok=True)
    return LoopConfig(folder, args.steps, args.learning_rate, precision=args.precision, minutes=args.minutes)


PARTS = {
    "tokenizer": Part(_train_tokenizer, "learn the pieces of words from the world's captions"),
    "vae": Part(_train_vae, f"learn to draw; writes {VAE_FILE}", vae_training.PHASES[-1].until, 1e-3),
    "latents": Part(_write_latents, "encode the clips that the transformer learns from"),
    "dit": Part(_train_dit, "learn to denoise and to read; writes transformer and text encoder", 6000, 1e-3),
}

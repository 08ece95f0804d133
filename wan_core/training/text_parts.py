"""The parts of the recipe that make the demo model of text to video, from nothing."""

from __future__ import annotations

import argparse
import logging

import torch

from wan_core.catalog import Role
from wan_core.catalog.demo import DEMO
from wan_core.manager.devices import choose_device
from wan_core.manager.loading import load_text_encoder, load_transformer, load_vae
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.training import vae_training
from wan_core.training.dit_training import FlowMatching, FlowMatchingData
from wan_core.training.export import VAE_FILE, export_text_encoder, export_transformer, export_vae
from wan_core.training.latents import LatentSet, write_latents
from wan_core.training.loop import TrainingLoop
from wan_core.training.part import TOKENIZER_FOLDER, Part, loop_config
from wan_core.training.tokenizer import write_tokenizer

log = logging.getLogger(__name__)

LATENTS_FILE = "latents.safetensors"
_SCALING_CLIPS = 128  # clips whose latents decide the VAE's scaling and its preview colours


def _train_tokenizer(args: argparse.Namespace) -> None:
    write_tokenizer(args.model / TOKENIZER_FOLDER)


def _train_vae(args: argparse.Namespace) -> None:
    vae = vae_training.build(DEMO.vae)
    if args.warm_start:
        vae.load_state_dict(load_vae(args.model, DEMO.weights[Role.VAE].files, torch.float32).state_dict())
    loop = TrainingLoop(vae_training.VAEObjective(vae), loop_config(args, args.folder / "vae"))
    if not loop.resume() and args.warm_start:
        vae_training.skip_to_refinement(loop)
    vae_training.train(loop)
    vae = loop.averaged.module.vae.cpu().eval()
    samples = vae_training.clips(0, _SCALING_CLIPS, DEMO.defaults.num_frames)
    vae_training.adopt_official_scaling(vae, samples)
    export_vae(vae, args.model, samples)
    log.info("reconstruction %.2f dB", vae_training.reconstruction_psnr(vae))


def _write_latents(args: argparse.Namespace) -> None:
    vae = load_vae(args.model, DEMO.weights[Role.VAE].files, torch.float32).to(choose_device("auto"))
    write_latents(vae, args.folder / LATENTS_FILE)


def _train_dit(args: argparse.Namespace) -> None:
    latents = LatentSet(args.folder / LATENTS_FILE)
    data = FlowMatchingData(latents, PromptTokenizer(args.model / TOKENIZER_FOLDER, DEMO.dit.text_len))
    objective = FlowMatching(DEMO)
    if args.warm_start:
        files = DEMO.weights
        dit = load_transformer(args.model, files[Role.TRANSFORMER].files, torch.float32)
        encoder = load_text_encoder(args.model, files[Role.TEXT_ENCODER].files, torch.float32)
        objective.dit.load_state_dict(dit.state_dict())
        objective.text_encoder.load_state_dict(encoder.state_dict())
        objective.text_encoder.requires_grad_(False)  # the models that grew out of this one share it
    loop = TrainingLoop(objective, loop_config(args, args.folder / "dit"))
    loop.resume()
    loop.run(data.loss_at)
    trained = loop.averaged.module
    export_transformer(trained.dit, args.model)
    export_text_encoder(trained.text_encoder, args.model)


TEXT_PARTS = {
    "tokenizer": Part(_train_tokenizer, "learn the pieces of words from the world's captions"),
    "vae": Part(_train_vae, f"learn to draw; writes {VAE_FILE}", vae_training.PHASES[-1].until, 1e-3),
    "latents": Part(_write_latents, "encode the clips that the transformer learns from"),
    "dit": Part(_train_dit, "learn to denoise and to read; writes transformer and text encoder", 6000, 1e-3),
}

"""The parts of the recipe that make the demo models that see more than text, out of the one of text."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from wan_core.catalog import ModelSpec, Role
from wan_core.catalog.demo import DEMO, DEMO_IMAGE, DEMO_VACE
from wan_core.manager.devices import choose_device
from wan_core.manager.loading import load_image_encoder, load_text_encoder, load_transformer, load_vae
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.models.vae.model import WanVAE
from wan_core.training import image_training, vace_examples
from wan_core.training.dit_training import FlowMatching
from wan_core.training.export import export_image_encoder, export_transformer
from wan_core.training.image_training import ImageData, ImageFlowMatching, image_clip
from wan_core.training.kept_clips import KeptClips, keep_clips
from wan_core.training.loop import TrainingLoop
from wan_core.training.part import TOKENIZER_FOLDER, Part, loop_config
from wan_core.training.vace_training import VaceClips, VaceData, VaceFlowMatching
from wan_core.training.warm_start import start_as

IMAGE_FOLDER, VACE_FOLDER = "image", "vace"
_LATENTS = "{}-latents"


def _keep_image_clips(args: argparse.Namespace) -> None:
    make = partial(image_clip, _vae(args.model))
    keep_clips(args.folder / _LATENTS.format(IMAGE_FOLDER), image_training.CLIPS_PER_GROUP, make)


def _keep_vace_clips(args: argparse.Namespace) -> None:
    make = VaceClips(_vae(args.model)).make
    keep_clips(args.folder / _LATENTS.format(VACE_FOLDER), vace_examples.CLIPS_PER_GROUP, make)


def _train_image(args: argparse.Namespace) -> None:
    objective = ImageFlowMatching(DEMO_IMAGE)
    _fill(objective, DEMO_IMAGE, args)
    if args.warm_start:
        files = DEMO_IMAGE.weights[Role.IMAGE_ENCODER].files
        encoder = load_image_encoder(args.model, files, torch.float32, DEMO_IMAGE.image_encoder)
        objective.image_encoder.load_state_dict(encoder.state_dict())
    objective.text_encoder.requires_grad_(False)
    data = ImageData(_clips(args, IMAGE_FOLDER), _tokenizer(args.model))
    trained = _run(objective, data, args, IMAGE_FOLDER)
    export_transformer(trained.dit, args.model / IMAGE_FOLDER)
    export_image_encoder(trained.image_encoder, args.model / IMAGE_FOLDER)


def _train_vace(args: argparse.Namespace) -> None:
    objective = VaceFlowMatching(DEMO_VACE)
    _fill(objective, DEMO_VACE, args)
    objective.dit.load_state_dict(_text_model(args.model).state_dict(), strict=False)  # it may be newer
    objective.freeze_base()
    data = VaceData(_clips(args, VACE_FOLDER), _tokenizer(args.model))
    export_transformer(_run(objective, data, args, VACE_FOLDER).dit, args.model / VACE_FOLDER)


def _fill(objective: FlowMatching, spec: ModelSpec, args: argparse.Namespace) -> None:
    """Give it the text encoder, and the weights to begin with: the model's own, or that of text to video."""
    encoder = load_text_encoder(args.model, spec.weights[Role.TEXT_ENCODER].files, torch.float32)
    objective.text_encoder.load_state_dict(encoder.state_dict())
    if args.warm_start:
        own = load_transformer(args.model, spec.weights[Role.TRANSFORMER].files, torch.float32, spec.dit)
        objective.dit.load_state_dict(own.state_dict())
    else:
        start_as(_text_model(args.model), objective.dit)


def _run(
    objective: FlowMatching, data: ImageData | VaceData, args: argparse.Namespace, name: str
) -> FlowMatching:
    """Train from the last checkpoint on; the averaged model."""
    loop = TrainingLoop(objective, loop_config(args, args.folder / name))
    loop.resume()
    loop.run(data.loss_at)
    return loop.averaged.module


def _clips(args: argparse.Namespace, name: str) -> KeptClips:
    return KeptClips(args.folder / _LATENTS.format(name))


def _text_model(folder: Path) -> WanDiT:
    return load_transformer(folder, DEMO.weights[Role.TRANSFORMER].files, torch.float32)


def _vae(folder: Path) -> WanVAE:
    vae = load_vae(folder, DEMO.weights[Role.VAE].files, torch.float32)
    return vae.to(choose_device("auto"))


def _tokenizer(folder: Path) -> PromptTokenizer:
    return PromptTokenizer(folder / TOKENIZER_FOLDER, DEMO.dit.text_len)


STEERED_PARTS = {
    "image-latents": Part(_keep_image_clips, "encode the clips and pictures that `image` learns from"),
    "image": Part(_train_image, "learn to begin from pictures; grows out of what `dit` wrote", 6000, 4e-4),
    "vace-latents": Part(_keep_vace_clips, "encode the examples that `vace` learns from"),
    "vace": Part(_train_vace, "learn to be steered; a branch beside what `dit` wrote", 8000, 1e-3),
}
"""Their weights go to ``--model``'s folders ``image`` and ``vace``."""

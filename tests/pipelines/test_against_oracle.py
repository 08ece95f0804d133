"""The whole pipeline against one composed of diffusers and transformers, with the same weights."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file
from transformers import UMT5Config, UMT5EncoderModel

from tests import tiny as sizes
from tests.models.dit_oracle import fill_oracle, oracle_sizes
from tests.pipelines.vae_oracle import build_vae_oracle
from wan_core.catalog import ModelSpec
from wan_core.engine import Engine
from wan_core.media.read import read_video
from wan_core.models.umt5.checkpoint import to_transformers_keys
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD
from wan_core.pipelines.components import VaeWay
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.generation import decode_latents
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, Settings

PROMPT, NEGATIVE, STEPS, GUIDANCE, SHIFT, SEED = "a red circle 猫", "blurred", 4, 3.0, 5.0, 11
LUMA = np.array([0.2126, 0.7152, 0.0722])


def _encode(folder: Path, text: str) -> torch.Tensor:
    """(1, 512, D): the embeddings, then zeros."""
    config = UMT5Config(
        vocab_size=sizes.UMT5.vocab_size,
        d_model=sizes.UMT5.dim,
        d_kv=sizes.UMT5.dim_attn // sizes.UMT5.num_heads,
        d_ff=sizes.UMT5.dim_ffn,
        num_layers=sizes.UMT5.num_layers,
        num_heads=sizes.UMT5.num_heads,
    )
    encoder = UMT5EncoderModel(config).eval()
    encoder.load_state_dict(to_transformers_keys(torch.load(folder / sizes.UMT5_FILE)))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / sizes.TOKENIZER_FILE))
    ids = [*pieces.encode(text), 1]
    padded = torch.tensor([ids + [0] * (512 - len(ids))])
    states = encoder(padded, attention_mask=(padded != 0).long()).last_hidden_state
    states[:, len(ids) :] = 0
    return states


def _transformer(folder: Path) -> WanTransformer3DModel:
    return fill_oracle(WanTransformer3DModel(**oracle_sizes(sizes.DIT)), load_file(folder / sizes.DIT_FILE))


def _euler_loop(folder: Path) -> torch.Tensor:
    """Noise to latents, by the formulas of spec 6 alone."""
    transformer = _transformer(folder)
    positive, negative = _encode(folder, PROMPT), _encode(folder, NEGATIVE)
    x = torch.randn(1, 16, 2, 4, 6, generator=torch.Generator().manual_seed(SEED))
    sigmas = [1 - i / STEPS for i in range(STEPS + 1)]
    sigmas = [SHIFT * s / (1 + (SHIFT - 1) * s) for s in sigmas]
    for sigma, following in pairwise(sigmas):
        timestep = torch.tensor([math.floor(1000 * sigma)])
        conditional = transformer(x, timestep, positive).sample
        null = transformer(x, timestep, negative).sample
        x = x + (following - sigma) * (null + GUIDANCE * (conditional - null))
    return x


def _decode(folder: Path, latents: torch.Tensor) -> np.ndarray:
    """(1, 16, F, h, w) to frames (T, H, W, 3) in [0, 255], not rounded."""
    vae = build_vae_oracle(folder)
    mean = torch.tensor(LATENTS_MEAN).view(1, 16, 1, 1, 1)
    std = torch.tensor(LATENTS_STD).view(1, 16, 1, 1, 1)
    frames = vae.decode(latents * std + mean).sample.clamp(-1, 1)
    return ((frames + 1) / 2 * 255)[0].permute(1, 2, 3, 0).numpy()


@pytest.mark.usefixtures("tiny")
@torch.no_grad()
def test_the_whole_pipeline_equals_the_independent_one(tiny_spec: ModelSpec, settings: Settings) -> None:
    request = GenerationRequest(
        model="tiny",
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        width=48,
        height=32,
        num_frames=5,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        shift=SHIFT,
        scheduler="euler",
        seed=SEED,
        crf=0,
    )
    engine = Engine(settings)
    result = engine.generate(request, lambda event: None, "job")
    latents, kept = load_latents(engine.latents_path("job"))
    expected = _euler_loop(tiny_spec.folder)
    assert kept == result.request
    assert expected.std() > 0.5
    torch.testing.assert_close(latents, expected, rtol=1e-4, atol=1e-4)

    exact = _decode(tiny_spec.folder, expected)
    assert exact.std() > 5
    job = ConditioningJob(engine.manager, tiny_spec, result.request, engine.inputs, lambda event: None)
    decoded = np.concatenate(list(decode_latents(job, latents, VaeWay())))
    assert np.abs(decoded - exact).max() < 1.02  # truncated, not rounded
    assert (decoded == exact.astype(np.uint8)).mean() > 0.99

    read = read_video(result.video).frames
    assert read.shape == decoded.shape
    assert np.abs((read - decoded.astype(float)) @ LUMA).mean() < 1.5  # only colour is halved in yuv420p

"""First and last frame to latents, the whole way, against diffusers and transformers composed by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusers import WanImageToVideoPipeline
from safetensors.torch import load_file

from tests import tiny
from tests.models.clip_oracle import build_oracle
from tests.models.dit_oracle import plain_oracle
from tests.pipelines.conditioning_jobs import pixels, random_frames
from tests.pipelines.test_against_oracle import _encode
from tests.pipelines.vae_oracle import build_vae_oracle
from tests.tiny_image import CLIP, FLF2V, official_clip, write_image_model
from wan_core.catalog import MODELS, ModelSpec
from wan_core.catalog.parts import FIRST_AND_LAST
from wan_core.engine import Engine
from wan_core.media.write import write_image
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.latents import load_latents
from wan_core.schema import GenerationRequest, Settings

PROMPT, NEGATIVE, STEPS, GUIDANCE, SHIFT, SEED, FRAMES = "a red circle", "blurred", 3, 3.0, 5.0, 7, 9
WIDTH, HEIGHT = 48, 32


@pytest.fixture
def spec(tiny_spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    made = write_image_model(tiny_spec, tmp_path / "model", FLF2V, {"flf2v": FIRST_AND_LAST})
    monkeypatch.setitem(MODELS, made.id, made)
    return made


def test_the_whole_way_equals_the_independent_one(
    spec: ModelSpec, settings: Settings, tmp_path: Path
) -> None:
    first, last = random_frames(2, width=120, height=80)
    engine = Engine(settings)
    names = []
    for number, frame in enumerate((first, last)):
        write_image(frame, tmp_path / f"{number}.png", "png", {})
        names.append(engine.inputs.keep(tmp_path / f"{number}.png"))
    request = GenerationRequest(
        model=spec.id,
        task="flf2v",
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        image=names[0],
        last_image=names[1],
        width=48,
        height=48,  # an area; the pictures' shape makes it 48x32
        num_frames=FRAMES,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        shift=SHIFT,
        scheduler="euler",
        seed=SEED,
    )
    engine.generate(request, lambda event: None, "job")
    latents, kept = load_latents(engine.latents_path("job"))
    assert (kept.width, kept.height) == (WIDTH, HEIGHT)
    expected = _expected(spec, [pixels(frame[None])[:, :, 0] for frame in (first, last)])
    assert expected.std() > 0.5
    torch.testing.assert_close(latents, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def _expected(spec: ModelSpec, pictures: list[torch.Tensor]) -> torch.Tensor:
    first, last = (F.interpolate(one, size=(HEIGHT, WIDTH), mode="bicubic") for one in pictures)
    pipeline = WanImageToVideoPipeline(None, None, build_vae_oracle(spec.folder), None)
    noise = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(SEED))
    x, condition = pipeline.prepare_latents(
        first,
        1,
        height=HEIGHT,
        width=WIDTH,
        num_frames=FRAMES,
        dtype=torch.float32,
        device=torch.device("cpu"),
        latents=noise,
        last_image=last,
    )
    dit = WanDiT(spec.dit)
    dit.load_state_dict(load_file(spec.folder / tiny.DIT_FILE))
    transformer = plain_oracle(dit)
    embeds = torch.cat([_seen(picture) for picture in pictures])
    texts = [_encode(spec.folder, text) for text in (PROMPT, NEGATIVE)]
    sigmas = [SHIFT * s / (1 + (SHIFT - 1) * s) for s in (1 - i / STEPS for i in range(STEPS + 1))]
    for sigma, following in pairwise(sigmas):
        timestep = torch.tensor([math.floor(1000 * sigma)])
        shown = torch.cat([x, condition], dim=1)
        conditional, null = (transformer(shown, timestep, text, embeds).sample for text in texts)
        x = x + (following - sigma) * (null + GUIDANCE * (conditional - null))
    return x


def _seen(picture: torch.Tensor) -> torch.Tensor:
    size = (CLIP.image_size, CLIP.image_size)
    square = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    oracle = build_oracle(official_clip(), CLIP)
    return oracle(((square + 1) / 2 - mean) / std, output_hidden_states=True).hidden_states[-2]

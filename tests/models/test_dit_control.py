"""Fun-Control, its reference picture and its camera, and the motion controller, against independent code.

diffusers has no counterpart of the last three; its transformer computes the rest, and what they add to it
is computed here from the definition and put in between.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel
from torch.nn import functional

from tests.models.dit_kinds import CAMERA, CONTROL, REFERENCE, T2V, Grid, only, sample
from tests.models.dit_oracle import full_text, plain_oracle
from tests.models.randomise import randomise
from wan_core.models.dit.config import DiTConfig, MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController

STEPS = [torch.tensor([t]) for t in (999, 500, 1)]
GRIDS = [(1, 4, 6), (3, 6, 10)]


def _pair(config: DiTConfig) -> tuple[WanDiT, WanTransformer3DModel]:
    dit = randomise(WanDiT(config)).eval()
    return dit, plain_oracle(dit)


def _patches(pictures: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(n, C, H, W) -> (n, D, H/2, W/2): one product per patch of 2x2, as a strided convolution makes it."""
    split = pictures.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return torch.einsum("nchiwj,dcij->ndhw", split, weight) + bias[:, None, None]


def _rays(camera: torch.Tensor, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """(B, C, F, 8 H, 8 W) -> (B, D, F, H/2, W/2), what the adapter's weights make of a camera."""
    batch = camera.shape[0]
    split = camera.unflatten(4, (-1, 8)).unflatten(3, (-1, 8))  # B C F h i w j
    folded = split.permute(0, 2, 1, 4, 6, 3, 5).flatten(2, 4).flatten(0, 1)
    x = _patches(folded, state["control_adapter.conv.weight"], state["control_adapter.conv.bias"])
    inner = x
    for name in ("conv1", "conv2"):
        weight, bias = (
            state[f"control_adapter.residual_blocks.0.{name}.{kind}"] for kind in ("weight", "bias")
        )
        inner = functional.conv2d(inner, weight, bias, padding=1)
        inner = inner.clamp(min=0) if name == "conv1" else inner
    return (x + inner).unflatten(0, (batch, -1)).transpose(1, 2)


def _assert_close(velocity: torch.Tensor, expected: torch.Tensor) -> None:
    assert velocity.dtype == torch.float32 and expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("grid", GRIDS)
@torch.no_grad()
def test_control_equals_the_independent_implementation(step: torch.Tensor, grid: Grid) -> None:
    dit, oracle = _pair(CONTROL)
    latents, prompt, given = sample(CONTROL, grid=grid)
    given = only(given, "channel_latents", "image_embeds")
    joined = torch.cat([latents, given.channel_latents], dim=1)
    assert joined.shape[1] == 48
    expected = oracle(joined, step, full_text(CONTROL, prompt), given.image_embeds).sample
    _assert_close(dit(latents, step, prompt, given), expected)


@pytest.mark.parametrize("has_reference", [True, False])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("grid", GRIDS)
@torch.no_grad()
def test_reference_is_a_frame_before_the_clip(step: torch.Tensor, grid: Grid, has_reference: bool) -> None:
    dit, oracle = _pair(REFERENCE)
    latents, prompt, given = sample(REFERENCE, grid=grid)
    names = ("channel_latents", "image_embeds", "reference_latents")
    given = only(given, *(names if has_reference else names[:2]))
    picture = given.reference_latents if has_reference else torch.zeros(1, 16, *grid[1:])
    weight, bias = dit.state_dict()["ref_conv.weight"], dit.state_dict()["ref_conv.bias"]
    first = _patches(picture, weight, bias)[:, :, None]
    oracle.patch_embedding.register_forward_hook(
        lambda module, inputs, frames: torch.cat([first, frames[:, :, 1:]], dim=2)
    )
    joined = torch.cat([latents, given.channel_latents], dim=1)
    longer = torch.cat([torch.full_like(joined[:, :, :1], math.pi), joined], dim=2)
    expected = oracle(longer, step, full_text(REFERENCE, prompt), given.image_embeds).sample
    _assert_close(dit(latents, step, prompt, given), expected[:, :, 1:])


@pytest.mark.parametrize("has_camera", [True, False])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("grid", GRIDS)
@torch.no_grad()
def test_camera_is_added_to_the_patch_embedding(step: torch.Tensor, grid: Grid, has_camera: bool) -> None:
    dit, oracle = _pair(CAMERA)
    latents, prompt, given = sample(CAMERA, batch=2, grid=grid)
    names = ("channel_latents", "image_embeds", "camera")
    given = only(given, *(names if has_camera else names[:2]))
    if has_camera:
        added = _rays(given.camera, dit.state_dict())
        oracle.patch_embedding.register_forward_hook(lambda module, inputs, frames: frames + added)
    joined = torch.cat([latents, given.channel_latents], dim=1)
    assert joined.shape[1] == 32
    step = step.expand(2)
    expected = oracle(joined, step, full_text(CAMERA, prompt), given.image_embeds).sample
    _assert_close(dit(latents, step, prompt, given), expected)


@pytest.mark.parametrize("step", STEPS)
@torch.no_grad()
def test_motion_changes_the_blocks_and_not_the_head(step: torch.Tensor) -> None:
    dit, oracle = _pair(T2V)
    latents, prompt, given = sample(T2V)
    given = only(given, "motion")

    def add_motion(module, inputs, output):
        time, modulation, text, image = output
        return time, modulation + given.motion.flatten(1), text, image

    oracle.condition_embedder.register_forward_hook(add_motion)
    expected = oracle(latents, step, full_text(T2V, prompt)).sample
    _assert_close(dit(latents, step, prompt, given), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@torch.no_grad()
def test_motion_controller_computes_its_definition(dtype: torch.dtype) -> None:
    config = MotionConfig(dim=24, freq_dim=8)
    controller = randomise(MotionController(config))
    buckets = [0, 37, 100]
    waves = [
        [wave(10 * bucket * 10000 ** (-j / 4)) for wave in (math.cos, math.sin) for j in range(4)]
        for bucket in buckets
    ]
    x = np.array(waves)
    for layer in (0, 2, 4):
        linear = controller.linear[layer]
        x = x @ linear.weight.double().numpy().T + linear.bias.double().numpy()
        x = x / (1 + np.exp(-x)) if layer < 4 else x
    expected = torch.from_numpy(x).float().view(3, 6, 24)
    motion = controller(torch.tensor(buckets, dtype=dtype))
    assert motion.dtype == torch.float32
    torch.testing.assert_close(motion, expected, rtol=1e-5, atol=1e-5)


def test_motion_controller_stays_in_float32() -> None:
    controller = MotionController(MotionConfig(dim=4, freq_dim=4))
    assert all(controller.keep_in_fp32(name) for name in controller.state_dict())

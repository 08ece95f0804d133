"""Phantom and ReCamMaster, whose clean latents stand after the clip, against diffusers' transformer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.models.dit_kinds import RECAM, T2V, Grid, only, sample
from tests.models.dit_oracle import full_text, plain_oracle
from tests.models.randomise import randomise
from wan_core.models.dit.model import WanDiT

STEPS = [torch.tensor([t]) for t in (999, 500, 1)]
GRIDS = [(1, 4, 6), (3, 6, 10)]


def _assert_close(velocity: torch.Tensor, expected: torch.Tensor) -> None:
    assert velocity.dtype == torch.float32 and expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("references", [1, 4])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("grid", GRIDS)
@torch.no_grad()
def test_phantom_sees_its_references_as_further_frames(
    step: torch.Tensor, grid: Grid, references: int
) -> None:
    dit = randomise(WanDiT(T2V)).eval()
    latents, prompt, given = sample(T2V, grid=grid, appended=references)
    given = only(given, "frame_latents")
    assert given.appended == references
    longer = torch.cat([latents, given.frame_latents], dim=2)
    expected = plain_oracle(dit)(longer, step, full_text(T2V, prompt)).sample
    _assert_close(dit(latents, step, prompt, given), expected[:, :, : grid[0]])


class PlacedAttention(nn.Module):
    """diffusers' self-attention between what ReCamMaster puts before and after it."""

    def __init__(self, attention: nn.Module, added: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.attention, self.added, self.weight, self.bias = attention, added, weight, bias

    def forward(self, tokens: torch.Tensor, *others: object) -> torch.Tensor:
        return self.attention(tokens + self.added, *others) @ self.weight.T + self.bias


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("grid", GRIDS)
@torch.no_grad()
def test_recam_tells_every_frame_and_its_source_where_the_camera_is(step: torch.Tensor, grid: Grid) -> None:
    dit = randomise(WanDiT(RECAM)).eval()
    latents, prompt, given = sample(RECAM, grid=grid)
    given = only(given, "frame_latents", "camera_path")
    frames, height, width = grid
    oracle, state = plain_oracle(dit), dit.state_dict()
    for number, block in enumerate(oracle.blocks):
        name = f"blocks.{number}."
        encode, encode_bias = state[f"{name}cam_encoder.weight"], state[f"{name}cam_encoder.bias"]
        rows = [
            encode @ given.camera_path[0, frame] + encode_bias
            for frame in (*range(frames), *range(frames))  # the clip, then its source
            for _ in range(height // 2 * (width // 2))
        ]
        projector = (state[f"{name}projector.weight"], state[f"{name}projector.bias"])
        block.attn1 = PlacedAttention(block.attn1, torch.stack(rows)[None], *projector)
    longer = torch.cat([latents, given.frame_latents], dim=2)
    expected = oracle(longer, step, full_text(RECAM, prompt)).sample
    _assert_close(dit(latents, step, prompt, given), expected[:, :, :frames])

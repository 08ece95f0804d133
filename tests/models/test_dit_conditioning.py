"""Which model reads what, and the memory that it takes."""

from __future__ import annotations

import dataclasses

import pytest

from tests.models.dit_kinds import KINDS
from wan_core.models.dit.conditioning import UNCONDITIONED, read_by
from wan_core.models.dit.config import DiTConfig

LARGE = DiTConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40)
GRID_480P = (21, 60, 104)
TOKENS_480P, FRAME_480P = 32_760, 1_560


@pytest.mark.parametrize(
    ("name", "kind", "required", "optional"),
    [
        ("t2v", "t2v", set(), {"frame_latents"}),
        ("i2v", "i2v", {"channel_latents", "image_embeds"}, set()),
        ("flf2v", "flf2v", {"channel_latents", "image_embeds"}, set()),
        ("vace", "vace", set(), {"vace_latents"}),
        ("control", "control", {"channel_latents", "image_embeds"}, set()),
        ("control with reference", "control", {"channel_latents", "image_embeds"}, {"reference_latents"}),
        ("camera", "camera", {"channel_latents", "image_embeds"}, {"camera"}),
        ("recam", "recam", {"frame_latents", "camera_path"}, set()),
    ],
)
def test_every_kind_reads_its_own(name: str, kind: str, required: set[str], optional: set[str]) -> None:
    config = KINDS[name]
    assert config.kind == kind
    expected = dict.fromkeys(required, "required") | dict.fromkeys(optional | {"motion"}, "optional")
    assert read_by(config) == expected


def test_nothing_is_appended_to_text_alone() -> None:
    assert UNCONDITIONED.appended == 0


@pytest.mark.parametrize(
    ("extras", "appended", "tokens"),
    [
        ({}, 0, TOKENS_480P),
        ({}, 4, TOKENS_480P + 4 * FRAME_480P),
        ({"in_dim": 48, "image_dim": 1280, "reference_dim": 16}, 0, TOKENS_480P + FRAME_480P),
        ({"camera_path_dim": 12}, 0, 2 * TOKENS_480P),
        ({"camera_path_dim": 12}, 21, 2 * TOKENS_480P),
    ],
)
def test_room_to_work_counts_the_tokens_beside_the_clip(
    extras: dict[str, int], appended: int, tokens: int
) -> None:
    config = dataclasses.replace(LARGE, **extras)
    assert config.working_bytes(*GRID_480P, appended=appended) == 26 * tokens * 5120


def test_room_to_work_counts_the_streams_of_vace_and_the_rays_of_a_camera() -> None:
    plain = LARGE.working_bytes(*GRID_480P)
    vace = dataclasses.replace(LARGE, vace_in_dim=96, vace_layers=(0, 5))
    stream_and_context = 4 + 2  # bytes: float32 and bfloat16
    assert vace.working_bytes(*GRID_480P) - plain == stream_and_context * TOKENS_480P * 5120
    camera = dataclasses.replace(LARGE, in_dim=32, image_dim=1280, camera_dim=24)
    rays = 24 * 21 * 480 * 832
    assert camera.working_bytes(*GRID_480P) - plain == 4 * rays

"""Tokens lie in the order that convolution and head define."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from wan_core.ops.patchify import patch_grid, patchify, unpatchify


def test_patchify_feeds_a_matrix_product_as_the_strided_convolution_does() -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 3, 4, 6, 10, generator=generator)
    weight = torch.randn(7, 3, 2, 2, 2, generator=generator)
    expected = F.conv3d(latents, weight, stride=(2, 2, 2)).flatten(2).transpose(1, 2)
    tokens = F.linear(patchify(latents, (2, 2, 2)), weight.flatten(1))
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


def test_unpatchify_puts_each_value_at_its_place() -> None:
    grid, patch, channels = (2, 3, 2), (1, 2, 2), 3
    tokens = torch.arange(12 * 12.0).view(1, 12, 12)
    video = unpatchify(tokens, grid, patch)
    assert video.shape == (1, 3, 2, 6, 4)
    assert patch_grid(video, patch) == grid
    for c, f, y, x in [(0, 0, 0, 0), (2, 1, 5, 3), (1, 0, 4, 1), (2, 1, 1, 2)]:
        token = (f * 3 + y // 2) * 2 + x // 2
        value = ((y % 2) * 2 + x % 2) * channels + c
        assert video[0, c, f, y, x] == tokens[0, token, value]

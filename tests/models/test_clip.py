"""The image encoder against transformers' whole CLIP, and pictures against the formula of bicubic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import CLIPVisionModel

from tests.models.clip_oracle import build_oracle
from tests.models.randomise import randomise
from wan_core.models.clip.checkpoint import infer_config, select_used, to_module_keys
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.clip.pixels import clip_pixels
from wan_core.schema.errors import WeightsError

TINY = CLIPConfig(dim=48, dim_mlp=72, num_heads=3, num_layers=3, image_size=42)


def _official_file() -> dict[str, Tensor]:
    """A whole CLIP under its official names: one block more than runs, a head, a text half."""
    whole = randomise(CLIPImageEncoder(dataclasses.replace(TINY, num_layers=TINY.num_layers + 1)))
    rest = {"visual.post_norm.weight": 48, "visual.post_norm.bias": 48, "visual.head": 32, "log_scale": 1}
    return {
        **{f"visual.{name}": tensor for name, tensor in whole.state_dict().items()},
        **{name: torch.full((size,), 0.5) for name, size in rest.items()},
        "textual.blocks.0.attn.q.weight": torch.ones(4, 4),
    }


@pytest.fixture(scope="module")
def official() -> dict[str, Tensor]:
    return _official_file()


@pytest.fixture(scope="module")
def encoder(official) -> CLIPImageEncoder:
    config = infer_config({name: tensor.shape for name, tensor in official.items()}, num_heads=3)
    with torch.device("meta"):
        model = CLIPImageEncoder(config)
    model.load_state_dict(to_module_keys(select_used(official)), strict=True, assign=True)
    return model.eval()


@pytest.fixture(scope="module")
def oracle(official) -> CLIPVisionModel:
    return build_oracle(official, TINY)


@torch.no_grad()
def test_embeds_are_what_enters_the_last_block_of_the_whole_clip(encoder, oracle) -> None:
    pixels = torch.randn(2, 3, TINY.image_size, TINY.image_size, generator=torch.Generator().manual_seed(1))
    expected = oracle(pixels, output_hidden_states=True).hidden_states[-2]
    embeds = encoder(pixels)
    assert embeds.shape == (2, TINY.num_tokens, TINY.dim) == (2, 10, 48)
    assert expected.std() > 0.5
    torch.testing.assert_close(embeds, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_half_precision_stays_close(encoder) -> None:
    low = CLIPImageEncoder(TINY)
    low.load_state_dict(encoder.state_dict())
    pixels = torch.randn(1, 3, TINY.image_size, TINY.image_size, generator=torch.Generator().manual_seed(1))
    embeds, expected = low.half()(pixels), encoder(pixels)
    assert embeds.dtype == torch.float16
    assert (embeds - expected).norm() / expected.norm() < 0.005


def test_every_parameter_learns() -> None:
    model = randomise(CLIPImageEncoder(TINY))
    model(torch.ones(1, 3, TINY.image_size, TINY.image_size).cumsum(2)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_sizes_come_from_the_file_and_unused_tensors_are_left(official) -> None:
    shapes = {name: tensor.shape for name, tensor in official.items()}
    assert infer_config(shapes, num_heads=3) == TINY
    used = select_used(shapes)
    assert all(name.startswith("visual.") for name in used)
    assert not [name for name in used if ".3." in name[:22] or "post_norm" in name or "head" in name]
    assert "stranger" in select_used({**shapes, "stranger": (1,)})
    with pytest.raises(WeightsError, match="width 48 does not split into 5 heads"):
        infer_config(shapes, num_heads=5)
    with pytest.raises(WeightsError, match="hold no CLIP image encoder"):
        infer_config({"blocks.0.weight": (1,)})
    with pytest.raises(WeightsError, match=r"visual\.pos_embedding is missing"):
        infer_config({name: shape for name, shape in shapes.items() if name != "visual.pos_embedding"}, 3)
    with pytest.raises(WeightsError, match="image encoder is damaged"):
        infer_config({**shapes, "visual.patch_embedding.weight": (48,)})


def _cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    x = np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _resizing(old: int, new: int) -> np.ndarray:
    """(new, old): the weights of bicubic interpolation; pixels beyond the edge are the edge's."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    matrix = np.zeros((new, old))
    for row, centre in enumerate(centres):
        for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            matrix[row, np.clip(tap, 0, old - 1)] += _cubic(np.array(centre - tap))
    return matrix


@pytest.mark.parametrize(("size", "side"), [((11, 30), 56), ((56, 84), 28), ((28, 28), 28)])
def test_pictures_are_resized_as_the_formula_says(size: tuple[int, int], side: int) -> None:
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2)) * 2 - 1
    rows, columns = _resizing(size[0], side), _resizing(size[1], side)
    square = np.einsum("yh,chw,xw->cyx", rows, picture[0].double().numpy(), columns)
    mean = np.array([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = np.array([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    expected = torch.from_numpy(((square + 1) / 2 - mean) / std).float()[None]
    if size != (side, side):
        assert square.max() > 1 and square.min() < -1  # overshoot is kept
    torch.testing.assert_close(clip_pixels(picture, side), expected, rtol=1e-5, atol=1e-5)
    assert clip_pixels(picture).shape == (1, 3, 224, 224)

"""The VAE against diffusers' independent implementation, the manifest, and itself in chunks."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from torch.nn import functional

from tests.models.randomise import randomise
from wan_core.models.vae import pairs, products
from wan_core.models.vae.blocks import CausalConv3d, DoublingConv
from wan_core.models.vae.checkpoint import infer_config
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD, VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.models.vae.stream import StreamState

TINY = VAEConfig(dim=8)
MANIFEST = Path(__file__).parent.parent / "data" / "manifests" / "vae.json"


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scale = 0.2 if name.endswith("bias") or parameter[0].numel() == 1 else parameter[0].numel() ** -0.5
        parameter.data = noise * scale + (1.0 if "gamma" in name else 0.0)
        assert parameter.count_nonzero() == parameter.numel()
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return randomised(WanVAE(TINY))


@pytest.fixture(scope="module")
def oracle(vae: WanVAE) -> AutoencoderKLWan:
    """diffusers' VAE with the same weights, matched by order of definition within each part."""
    model = AutoencoderKLWan(
        base_dim=TINY.dim, z_dim=16, dim_mult=list(TINY.dim_mult), num_res_blocks=2, attn_scales=[]
    ).eval()
    ours, theirs = vae.state_dict(), model.state_dict()
    renamed = {_diffusers_key(name): tensor for name, tensor in ours.items()}
    assert renamed.keys() == theirs.keys()
    model.load_state_dict(renamed)
    return model.requires_grad_(False)


def _diffusers_key(name: str) -> str:
    """Official name -> diffusers name."""
    parts = name.split(".")
    if parts[0] in ("conv1", "conv2"):
        return name.replace("conv1", "quant_conv").replace("conv2", "post_quant_conv")
    side, rest = parts[0], ".".join(parts[1:])
    rest = rest.replace("conv1.", "conv_in.", 1) if rest.startswith("conv1.") else rest
    rest = rest.replace("head.0.", "norm_out.").replace("head.2.", "conv_out.")
    rest = rest.replace("middle.0.", "mid_block.resnets.0.").replace("middle.2.", "mid_block.resnets.1.")
    rest = rest.replace("middle.1.", "mid_block.attentions.0.").replace("downsamples.", "down_blocks.")
    if rest.startswith("upsamples."):
        index = int(parts[2])
        stage, place = divmod(index, 4)
        where = f"resnets.{place}" if place < 3 else "upsamplers.0"
        rest = rest.replace(f"upsamples.{index}.", f"up_blocks.{stage}.{where}.")
    for ours, theirs in (
        ("residual.0.", "norm1."),
        ("residual.2.", "conv1."),
        ("residual.3.", "norm2."),
        ("residual.6.", "conv2."),
        ("shortcut.", "conv_shortcut."),
    ):
        rest = rest.replace(ours, theirs)
    return f"{side}.{rest}"


@pytest.mark.parametrize("frames", [1, 5, 9, 17])
def test_encode_and_decode_agree_with_diffusers(vae, oracle, frames):
    clip = torch.randn(1, 3, frames, 32, 48, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    mean = torch.tensor(LATENTS_MEAN).view(1, -1, 1, 1, 1)
    std = torch.tensor(LATENTS_STD).view(1, -1, 1, 1, 1)
    expected = oracle.encode(clip).latent_dist.mean
    latents = vae.encode(clip)
    assert latents.shape == (1, 16, (frames + 3) // 4, 4, 6)
    torch.testing.assert_close(latents * std + mean, expected, atol=1e-5, rtol=1e-5)
    expected_frames = oracle.decode(expected).sample
    assert expected_frames.std() > 0.1
    torch.testing.assert_close(vae.decode((expected - mean) / std), expected_frames, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("frames", "cells", "computed"), [(1, 24, []), (6, 24, [4, 1]), (4, 600, [1, 1, 1])])
@torch.inference_mode()
def test_decode_stream_equals_whole(vae, monkeypatch, frames, cells, computed):
    """Frames of a small grid go through a CPU together, those of a larger one alone."""
    latents = torch.randn(1, 16, frames, 4, cells // 4, generator=torch.Generator().manual_seed(2))
    whole, seen, begin = vae.decode(latents), [], vae.decoder.begin
    monkeypatch.setattr(vae.decoder, "begin", lambda x, state: (seen.append(x.shape[2]), begin(x, state))[1])
    parts = list(vae.decode_stream(latents))
    assert [part.shape[2] for part in parts] == [1, *[4] * (frames - 1)]
    assert seen == [1, *computed]
    torch.testing.assert_close(torch.cat(parts, 2), whole, atol=1e-5, rtol=0)


def test_with_gradients_a_stream_equals_whole_and_uses_nothing_up(vae):
    latents = torch.randn(2, 16, 3, 4, 6, generator=torch.Generator().manual_seed(2), requires_grad=True)
    parts = list(vae.decode_stream(latents))
    assert [part.shape[2] for part in parts] == [1, 4, 4]
    streamed, whole = (frames.square().mean() for frames in (torch.cat(parts, 2), vae.decode(latents)))
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, latents)[0] for loss in (streamed, whole)), atol=1e-6, rtol=1e-4
    )


def test_a_stream_remembers_no_more_than_it_needs(vae):
    state = StreamState()
    latents = torch.randn(1, 16, 3, 4, 6)
    for part in latents.split(1, dim=2):
        vae.reconstruct(part, state)
    kept = [tensor for tensor in state.values() if tensor.numel() and tensor.ndim == 5]  # no kernels
    assert len(kept) > 30
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in kept)
    assert max(tensor.shape[2] for tensor in kept) == 2


@pytest.mark.parametrize("cuts", [(17,), (1, 4, 4, 4, 4), (3, 3, 3, 3, 3, 2), (16, 1)])
def test_encode_stream_equals_whole(vae, cuts):
    clip = torch.randn(1, 3, 17, 32, 48, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    streamed = torch.cat(list(vae.encode_stream(clip.split(cuts, dim=2))), dim=2)
    torch.testing.assert_close(streamed, vae.encode(clip), atol=1e-5, rtol=0)


def test_frames_beyond_4n_plus_1_are_dropped(vae):
    clip = torch.randn(1, 3, 8, 16, 16).clamp(-1, 1)
    assert torch.equal(vae.encode(clip), vae.encode(clip[:, :, :5]))
    streamed = torch.cat(list(vae.encode_stream([clip])), dim=2)
    assert streamed.shape[2] == 2


def test_strictly_causal(vae):
    latents = torch.randn(1, 16, 4, 2, 2)
    changed = latents.clone()
    changed[:, :, 3] += 1
    before, after = vae.decode(latents), vae.decode(changed)
    assert torch.equal(before[:, :, :9], after[:, :, :9])
    assert not torch.equal(before[:, :, 9:], after[:, :, 9:])


def test_odd_sizes_are_refused(vae):
    with pytest.raises(ValueError, match="33x32"):
        vae.encode(torch.zeros(1, 3, 1, 32, 33))


def test_official_checkpoint_loads_strictly_by_name_and_shape():
    manifest = json.loads(MANIFEST.read_text())
    config = infer_config(manifest)
    assert config == VAEConfig()
    with torch.device("meta"):
        ours = {name: list(t.shape) for name, t in WanVAE(config).state_dict().items()}
    assert ours == manifest


def test_sizes_are_read_from_any_checkpoint():
    config = VAEConfig(dim=8, dim_mult=(1, 3, 4, 4))
    shapes = {name: tuple(t.shape) for name, t in WanVAE(config).state_dict().items()}
    assert infer_config(shapes) == config
    with pytest.raises(ValueError, match="not a Wan VAE"):
        infer_config({"patch_embedding.weight": (1, 2)})


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 6)])
def test_doubling_by_places_equals_doubling_then_convolving(size) -> None:
    conv = randomised(DoublingConv(6, 4, 3, padding=1))
    frames = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(8))
    doubled = torch.nn.functional.interpolate(frames, scale_factor=2.0, mode="nearest-exact")
    expected = torch.nn.functional.conv2d(doubled, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(conv(frames), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@torch.inference_mode()
def test_frames_made_in_pairs_are_those_made_one_by_one(frames, monkeypatch):
    conv, clip, expected = _convolution(frames)
    paired = []
    monkeypatch.setattr(conv, "_in_pairs", lambda *of: paired.append(1) or CausalConv3d._in_pairs(conv, *of))
    found = _streamed(conv, clip)
    assert len(paired) == 1 + (frames % 2 == 0)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


def multiply(monkeypatch: pytest.MonkeyPatch, widened: bool) -> None:
    """As on a processor that multiplies float32 faster than 16 bits, or does not."""
    monkeypatch.setattr(products, "gains_by_float32", lambda dtype: widened and dtype == torch.bfloat16)


@pytest.mark.parametrize(
    ("dtype", "widened", "tolerance"),
    [(torch.float32, False, 4e-7), (torch.bfloat16, False, 5.2e-3), (torch.bfloat16, True, 3.1e-3)],
)
@pytest.mark.parametrize("fused", [True, False])
@torch.inference_mode()
def test_pairs_are_right_with_and_without_sums_inside_of_convolutions(
    dtype, widened, tolerance, fused, monkeypatch
):
    """2-norm of noise, as a share; one by one they are off by 4.5e-7 and 2.9e-3."""
    assert pairs._adds_in_place(dtype), "the operator of this torch, which is pinned"
    multiply(monkeypatch, widened)
    monkeypatch.setattr(pairs, "_adds_in_place", lambda dtype: fused)
    conv, clip, expected = _convolution(4)
    found = _streamed(conv.to(dtype), clip.to(dtype))
    assert found.dtype is dtype
    assert (found.double() - expected).norm() < tolerance * expected.norm()


def _convolution(frames: int) -> tuple[CausalConv3d, torch.Tensor, torch.Tensor]:
    """One, the clip that it is given, and in float64 what it makes of the last ``frames``."""
    torch.manual_seed(frames)
    conv = CausalConv3d(24, 16, 3).eval()
    clip = torch.randn(2, 24, 2 + frames, 32, 40).contiguous(memory_format=torch.channels_last_3d)
    weights = conv.weight.double(), conv.bias.double()
    return conv, clip, torch.nn.functional.conv3d(clip.double(), *weights, padding=(0, 1, 1))


def _streamed(conv: CausalConv3d, clip: torch.Tensor) -> torch.Tensor:
    state = StreamState()
    conv(clip[:, :, :2], state)
    return conv(clip[:, :, 2:], state)


@pytest.mark.parametrize(("widened", "share"), [(False, 1.1), (True, 1.0)])
@torch.inference_mode()
def test_bfloat16_is_about_as_near_to_float64_as_diffusers_is(vae, oracle, widened, share, monkeypatch):
    """Sums of taps are rounded once more than by diffusers unless widened, norms with SiLU two times less."""
    multiply(monkeypatch, widened)
    mean, std = (torch.tensor(numbers).view(1, -1, 1, 1, 1) for numbers in (LATENTS_MEAN, LATENTS_STD))
    unscaled = torch.randn(1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(6)) * std + mean
    latents = (unscaled - mean) / std
    right = deepcopy(vae).double().decode(latents.double())
    ours = torch.cat(list(deepcopy(vae).bfloat16().decode_stream(latents.bfloat16())), dim=2)
    theirs = deepcopy(oracle).bfloat16().decode(unscaled.bfloat16()).sample
    errors = [((made.double() - right).norm() / right.norm()).item() for made in (ours, theirs)]
    assert errors[0] < share * errors[1] < 0.02, errors


@pytest.mark.parametrize("frames", [1, 5])
@torch.inference_mode()
def test_widened_products_are_those_of_float32_and_what_is_kept_stays_small(vae, frames, monkeypatch):
    multiply(monkeypatch, True)
    seen = []

    def watch(name: str) -> None:
        plain = getattr(functional, name)

        def watched(x: torch.Tensor, *given: object, **options: object) -> torch.Tensor:
            seen.append(x.dtype)
            return plain(x, *given, **options)

        monkeypatch.setattr(functional, name, watched)

    watch("conv2d")
    watch("conv3d")
    narrow, state = deepcopy(vae).bfloat16(), StreamState()
    clip = torch.randn(1, 3, frames, 64, 64, generator=torch.Generator().manual_seed(7)).bfloat16()
    found, _ = narrow.moments(clip, state)
    assert set(seen) == {torch.float32}
    assert found.dtype is torch.bfloat16
    assert {kept.dtype for part, kept in state.items() if isinstance(part, torch.nn.Module)} == {
        torch.bfloat16
    }
    right, _ = narrow.double().moments(clip.double())
    assert (found.double() - right).norm() < 1e-2 * right.norm()


def test_where_gradients_are_taken_products_are_as_ever(monkeypatch):
    multiply(monkeypatch, True)
    assert products.product_dtype(torch.ones(1, dtype=torch.bfloat16)) is torch.bfloat16
    with torch.no_grad():
        assert products.product_dtype(torch.ones(1, dtype=torch.bfloat16)) is torch.float32
        assert products.product_dtype(torch.ones(1, dtype=torch.bfloat16, device="meta")) is torch.bfloat16


def test_a_stream_lays_weights_as_the_processor_multiplies_them_and_changes_none(vae):
    studio = deepcopy(vae)
    with torch.inference_mode():
        list(studio.decode_stream(torch.randn(1, 16, 1, 4, 6)))
    for found, expected in zip(studio.parameters(), vae.parameters(), strict=True):
        assert torch.equal(found, expected)
    for weight in (weight for weight in studio.decoder.parameters() if weight.ndim > 3):
        assert weight.movedim(1, -1).is_contiguous()
    assert not any(p.is_inference() for p in studio.parameters()), "they can still be trained"


@torch.inference_mode()
def test_streamed_pictures_that_go_in_pairs_equal_whole_ones(monkeypatch):
    vae = randomise(WanVAE(VAEConfig(dim=8))).eval()
    latents = torch.randn(1, 16, 3, 12, 16, generator=torch.Generator().manual_seed(5))
    streamed = torch.cat(list(vae.decode_stream(latents)), dim=2)
    monkeypatch.setattr("wan_core.models.vae.blocks.gains_by_pairs", lambda x, taps: False)
    torch.testing.assert_close(streamed, vae.decode(latents), rtol=0, atol=1e-5)
    assert vae.encode(streamed).shape == latents.shape

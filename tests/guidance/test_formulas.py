"""Each method of guidance against its formula, written out in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wan_core.guidance.cfg_zero import CFGZero
from wan_core.guidance.fresca import FreSca
from wan_core.guidance.method import Moment
from wan_core.guidance.table import METHODS, methods_of
from wan_core.models.dit.adjusting import Nag, Opposed, enhancement
from wan_core.ops.rope import longest_unslowed, rope_bands, rope_table
from wan_core.schema import GenerationRequest
from wan_core.schema.guidance import GuidanceOptions, within

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def moment(**options: object) -> Moment:
    return Moment(GuidanceOptions(**options), 0, 4)


def test_cfg_zero_fits_the_null_velocity_to_each_sample() -> None:
    conditional, null = noise(2, 4, 3, 4, 4, seed=1), noise(2, 4, 3, 4, 4, seed=2)
    fitted = CFGZero().fit(moment(cfg_zero=True), conditional, null)
    for c, u, found in zip(conditional.double(), null.double(), fitted, strict=True):
        along = float((c * u).sum() / ((u**2).sum() + 1e-8))
        torch.testing.assert_close(found, (along * u).float())
        rest = c - found.double()  # the best multiple: what is left is at right angles
        assert abs(float((rest * u).sum())) < 1e-3
    assert CFGZero().fit(moment(), conditional, null) is null


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9)])
@pytest.mark.parametrize(("low", "high", "cutoff"), [(1.0, 1.25, 0.5), (0.8, 1.4, 0.25), (1.3, 1.3, 0.5)])
def test_fresca_scales_waves_of_the_picture(
    height: int, width: int, low: float, high: float, cutoff: float
) -> None:
    difference = noise(1, 2, 3, height, width)
    shaped = FreSca().shape(moment(fresca_low=low, fresca_high=high, fresca_cutoff=cutoff), difference)
    waves = np.fft.fft2(difference.double().numpy())
    for row in range(height):
        for column in range(width):
            speeds = (min(row, height - row) * 2 / height, min(column, width - column) * 2 / width)
            waves[..., row, column] *= low if max(speeds) <= cutoff else high
    expected = torch.from_numpy(np.fft.ifft2(waves).real.copy()).float()
    torch.testing.assert_close(shaped, expected, rtol=1e-4, atol=1e-5)


def test_fresca_keeps_what_is_even_where_only_fine_waves_are_scaled() -> None:
    even = torch.full((1, 1, 1, 8, 8), 3.0)
    torch.testing.assert_close(FreSca().shape(moment(fresca_high=2.0), even), even)
    torch.testing.assert_close(FreSca().shape(moment(fresca_low=0.5), even), even / 2)


@pytest.mark.parametrize(("scale", "limit", "share"), [(11.0, 2.5, 0.25), (3.0, 1.0, 1.0), (2.0, 100.0, 0.5)])
def test_nag_equals_its_formula(scale: float, limit: float, share: float) -> None:
    positive, negative = noise(2, 6, 16, seed=1), noise(2, 6, 16, seed=2)
    opposed = Opposed(Nag(noise(1, 1, 1), scale, limit, share), noise(1, 1, 1), None)
    found = opposed.lead(positive.clone(), negative.clone())
    p, n = positive.double().numpy(), negative.double().numpy()
    led = p * scale - n * (scale - 1)
    for sample in range(2):
        for token in range(6):
            z, before = led[sample, token], np.abs(p[sample, token]).sum()
            if np.abs(z).sum() / before > limit:
                z = z * limit * before / (np.abs(z).sum() + 1e-7)
            expected = share * z + (1 - share) * p[sample, token]
            np.testing.assert_allclose(found[sample, token].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("front", "behind"), [(0, 0), (6, 0), (6, 4)])
def test_enhancement_looks_across_frames_at_each_place(front: int, behind: int) -> None:
    """Token by token: at one place of the picture, the frames attend to each other."""
    frames, height, width, heads, size, weight = 3, 2, 3, 2, 4, 5.0
    tokens = front + frames * height * width + behind
    query, key = 2 * noise(2, tokens, heads, size, seed=1), 2 * noise(2, tokens, heads, size, seed=2)
    found = enhancement(query, key, (frames, height, width), front, weight)
    assert found.shape == (2, 1, 1)
    for sample in range(2):
        given = []
        for place in range(height * width):
            at = [front + frame * height * width + place for frame in range(frames)]
            for head in range(heads):
                q, k = (x[sample, at, head].double().numpy() for x in (query, key))
                scores = np.exp(q @ k.T / math.sqrt(size))
                scores /= scores.sum(1, keepdims=True)
                given.append((scores.sum() - np.trace(scores)) / (frames**2 - frames))
        assert float(found[sample]) == pytest.approx(max(np.mean(given) * (frames + weight), 1.0), rel=1e-5)
    assert float(enhancement(query, key, (frames, height, width), front, 0.0).min()) >= 1.0


@pytest.mark.parametrize("wave", [1, 4, 6])
def test_riflex_slows_one_wave_over_time_so_that_it_does_not_come_round(wave: int) -> None:
    grid = (66, 2, 2)
    plain, slowed = rope_table(grid, 128, CPU), rope_table(grid, 128, CPU, (wave, 66))
    changed = (plain != slowed).any(0).nonzero().flatten().tolist()
    assert changed == [wave - 1]
    angles = torch.angle(slowed.view(*grid, 64)[:, 0, 0, wave - 1].to(torch.complex128))
    expected = torch.arange(66) * (0.9 * 2 * math.pi / 66)
    turned = torch.remainder(angles - expected + math.pi, 2 * math.pi) - math.pi
    assert float(turned.abs().max()) < 1e-6
    assert float(expected[-1]) < 2 * math.pi


def test_riflex_leaves_short_clips_as_they_are() -> None:
    longest = longest_unslowed(6, 128)
    assert longest == math.floor(0.9 * 2 * math.pi * 10000 ** (10 / 44)) == 45  # 177 frames
    grid = (longest, 2, 2)
    assert torch.equal(rope_table(grid, 128, CPU), rope_table(grid, 128, CPU, (6, longest)))
    more = (longest + 1, 2, 2)
    assert not torch.equal(rope_table(more, 128, CPU), rope_table(more, 128, CPU, (6, longest + 1)))
    assert rope_bands(128)[0] // 2 == 22


# ---- the course of the scale ----------------------------------------------------------------


def course(total: int, **options: object) -> list[float]:
    return [GuidanceOptions(**options).scale_at(step, total, 5.0) for step in range(total)]


def test_the_scale_of_each_step() -> None:
    assert course(4) == [5.0] * 4
    assert course(5, guidance_scales=(6, 4, 2)) == [6, 4, 2, 2, 2]
    assert course(2, guidance_scales=(6, 4, 2)) == [6, 4]
    assert course(5, guidance_start=0.2, guidance_end=0.8) == [1, 5, 5, 5, 1]
    assert course(5, guidance_scale_end=1.0) == [5, 4, 3, 2, 1]
    assert course(5, guidance_scale_end=1.0, guidance_easing="ease-in") == [5, 4.75, 4, 2.75, 1]
    assert course(5, guidance_scale_end=1.0, guidance_easing="ease-out") == [5, 3.25, 2, 1.25, 1]
    assert course(5, guidance_scale_end=2.0, guidance_start=0.4) == [1, 1, 5, 3.5, 2]
    assert course(1, guidance_scale_end=2.0) == [5]


def test_how_many_passes_a_run_takes() -> None:
    assert GuidanceOptions().mean_passes(10, 5.0) == 2
    assert GuidanceOptions().mean_passes(10, 1.0) == 1
    assert GuidanceOptions(guidance_end=0.5).mean_passes(10, 5.0) == 1.5
    assert GuidanceOptions(zero_init_steps=1).mean_passes(10, 5.0) == 1.8
    third = GuidanceOptions(skip_blocks=(1,), skip_mode="third", skip_start=0.5)
    assert third.mean_passes(10, 5.0) == 2.5
    assert third.mean_passes(10, 1.0) == 1.5
    assert GuidanceOptions(start_step=3, end_step=8).steps_taken(10) == 5


def test_parts_of_a_run_begin_where_a_step_begins() -> None:
    assert [within((0.25, 0.75), step, 4) for step in range(4)] == [False, True, True, False]


# ---- neutral values -------------------------------------------------------------------------


def test_a_request_as_it_is_asks_for_no_method() -> None:
    assert methods_of(GuidanceOptions.of(GenerationRequest())) == ()
    assert GuidanceOptions.of(GenerationRequest()) == GuidanceOptions()


ASKED = {
    "cfg-zero": {"cfg_zero": True},
    "skip-layers": {"skip_blocks": (1,)},
    "nag": {"nag_scale": 5.0},
    "enhance-a-video": {"enhance_video": 2.0},
    "fresca": {"fresca_high": 1.25},
    "riflex": {"riflex": 6},
}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_asked_for_by_its_own_fields(name: str) -> None:
    assert methods_of(GuidanceOptions(**ASKED[name])) == (METHODS[name].method,)

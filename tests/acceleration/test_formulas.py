"""Each method against series that were worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.acceleration.scripted import Scripted, levels, run
from wan_core.acceleration.easycache import EasyCache
from wan_core.acceleration.first_block import FirstBlockCache
from wan_core.acceleration.levels import FEW_STEPS, LEVELS, kept_bytes
from wan_core.acceleration.magcache import MagCache, Magnitudes
from wan_core.acceleration.step_cache import ReusingCache, StepCache
from wan_core.acceleration.table import CACHES, Run, make_step_cache
from wan_core.acceleration.teacache import TeaCache
from wan_core.catalog import resolve
from wan_core.jobs.base import work_of
from wan_core.lora.presets import PRESETS
from wan_core.schema import GenerationRequest
from wan_core.schema.request import StepCacheName


def counting(total: int, **script: list[float]) -> Scripted:
    return Scripted(added=[float(10 + step) for step in range(total)], **script)


def test_teacache_sums_changes_from_step_to_step_and_reuses_what_the_blocks_added() -> None:
    # changes: 10 %, 10 %, 20 %, 0, 0, 50 %, 0; sums: .1, .2, .4 -> computed, 0, 0, .5 -> computed
    signal = [1.0, 1.1, 1.21, 1.452, 1.452, 1.452, 2.178, 2.178, 2.178]
    model = counting(9, signal=signal)
    cache = TeaCache(0.25, levels(9), "", retention=False)
    assert run(cache, model) == [10, 10, 10, 13, 13, 13, 16, 16, 18]
    assert model.computed == [0, 3, 6, 8]  # the first and the last always
    assert cache.skipped == (2, 3, 5, 6, 8)
    assert cache.report == ("4 of 9 steps were computed.", "Skipped steps: 2, 3, 5, 6, 8.")


def test_teacache_computes_the_first_five_of_the_retention_variant_and_not_the_last() -> None:
    model = counting(8, signal=[1.0] * 8)
    run(TeaCache(0.1, levels(8), "", retention=True), model)
    assert model.computed == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("family", "retention", "change", "value"),
    [
        ("t2v-1.3b", False, 0.1, 0.249922891000),
        ("t2v-14b", False, 0.2, 0.125989456096),
        ("i2v-14b-480p", False, 0.1, 0.053626948000),
        ("i2v-14b-720p", False, 0.1, 0.122998086794),
        ("t2v-1.3b", True, 0.05, 0.141898375475),
        ("t2v-14b", True, 0.05, 0.218948981250),
        ("i2v-14b-480p", True, 0.05, 0.139560419500),
        ("i2v-14b-720p", True, 0.05, 0.174313201150),
    ],
)
def test_teacache_uses_the_published_polynomials(
    family: str, retention: bool, change: float, value: float
) -> None:
    """``value`` is the polynomial at ``change``, worked out in decimals."""
    first = 5 if retention else 1
    signal = [1.0] * first + [1 + change] * 3
    for threshold, skips in ((value + 1e-7, True), (value - 1e-7, False)):
        model = counting(first + 3, signal=signal)
        run(TeaCache(threshold, levels(first + 3), family, retention), model)
        assert (first not in model.computed) is skips


def test_teacache_sums_are_signed() -> None:
    # no change counts -.20197 with this model: three of them outweigh the .3 % and 11 % that follow
    model = counting(7, signal=[1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.1])
    run(TeaCache(0.01, levels(7), "i2v-14b-480p", retention=False), model)
    assert model.computed == [0, 6]


def test_easycache_foresees_with_the_rate_of_computed_steps() -> None:
    # x falls by 1 and v = 2 x, so the rate is 2; of step 1 (x 9, v 18) is kept v - x = 9.
    # step 2: 2 / 18 = .11, said 8 + 9; step 3: + 2 / 17 = .23, said 7 + 9; step 4: + 2 / 16 = .35, computed:
    # x 6, v 12, kept 6, rate |12 - 18| / |6 - 9| = 2; step 5: 2 / 12 = .17, said 5 + 6
    # step 6: + 2 / 11 = .35 -> computed, v 8; step 7: 2 / 8 = .25, as much as the threshold -> computed ...
    xs = [10.0 - step for step in range(10)]
    model = Scripted(says=[2 * x for x in xs])
    said = run(EasyCache(0.25, levels(10)), model, xs)
    assert model.computed == [0, 1, 4, 6, 7, 8, 9]
    assert said == [20, 18, 8 + 9, 7 + 9, 12, 5 + 6, 8, 6, 4, 2]


def test_easycache_computes_a_fifth_at_the_beginning() -> None:
    for total, first in ((50, 10), (20, 4), (15, 3)):
        model = Scripted(says=[1.0] * total)
        run(EasyCache(0.1, levels(total)), model, [10.0 - 0.001 * step for step in range(total)])
        assert model.computed == list(range(first)), total


def test_easycache_computes_where_nothing_can_be_foreseen() -> None:
    model = Scripted(says=[1.0] * 10)
    run(EasyCache(0.1, levels(10)), model, [5.0] * 10)  # 0 / 0 is no rate
    assert model.computed == list(range(10))


def test_the_first_block_is_compared_with_that_of_the_last_computed_step() -> None:
    # against 1: .08, .16 -> computed; against 1.16: .03, .12 -> computed
    first = [1.0, 1.08, 1.16, 1.19, 1.3, 1.3, 1.3]
    model = counting(7, first=first)
    cache = FirstBlockCache(0.1, levels(7))
    assert run(cache, model) == pytest.approx([10, 9 + 1.08, 12, 10.84 + 1.19, 14, 14, 16])
    assert model.computed == [0, 2, 4, 6]


def test_magcache_sums_how_far_the_size_has_moved() -> None:
    # ratios .99: errors .01, then + .0199 = .0299 > .02 -> computed
    known = Magnitudes(tuple(levels(10)[:-1]), (1.0, *[0.99] * 9))
    model = counting(10)
    run(MagCache(0.02, levels(10), known), model)
    assert model.computed == [0, 1, 3, 5, 7, 9]


def test_magcache_skips_at_most_four_in_a_row() -> None:
    known = Magnitudes(tuple(levels(20)[:-1]), (1.0,) * 20)
    model = counting(20)
    run(MagCache(0.02, levels(20), known), model)
    assert model.computed == [0, 1, 2, 3, 8, 13, 18]


def test_magcache_measures_a_run_and_keeps_it(tmp_path: Path) -> None:
    cache = MagCache(0.02, levels(4), None)
    model = Scripted(added=[8.0, 4.0, 3.0, 3.0])
    assert run(cache, model) == [8, 4, 3, 3]
    found = cache.measured
    assert found == Magnitudes((1.0, 0.75, 0.5, 0.25), (1.0, 0.5, 0.75, 1.0))
    found.write(tmp_path / "new" / "one.json")
    assert Magnitudes.read(tmp_path / "new" / "one.json") == found


def test_magnitudes_serve_other_schedules() -> None:
    known = Magnitudes((1.0, 0.75, 0.5, 0.25), (1.0, 0.5, 0.75, 1.0))
    assert known.ratio(1.0, 0.75) == pytest.approx(0.5)
    assert known.ratio(1.0, 0.5) == pytest.approx(0.5 * 0.75)
    assert known.ratio(1.0, 0.875) == pytest.approx(math.sqrt(0.5))
    assert known.ratio(0.25, 0.1) is None
    assert known.ratio(1.2, 1.0) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        json.dumps({"sigmas": [1, 0.5], "ratios": [1, 0]}),
        json.dumps({"sigmas": [0.5, 1], "ratios": [1, 1]}),
        json.dumps({"sigmas": [1, 0.5], "ratios": [1]}),
    ],
)
def test_damaged_magnitudes_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    assert Magnitudes.read(tmp_path / "m.json") is None
    assert Magnitudes.read(tmp_path / "absent.json") is None


def test_all_names_of_a_request_are_known() -> None:
    names = set(StepCacheName.__args__)
    assert names == {"off", *LEVELS, *CACHES}
    assert make_step_cache("off", None, Run(levels(50))).__class__ is StepCache
    for name in names - {"off"}:
        cache = make_step_cache(name, None, Run(levels(50)))
        assert isinstance(cache, ReusingCache), name
        assert make_step_cache(name, 0.5, Run(levels(50))).threshold == 0.5


def test_published_thresholds_are_those_of_the_model() -> None:
    row = CACHES["teacache"]
    assert (row.threshold("conservative", "i2v-14b-480p"), row.threshold("fast", "t2v-1.3b")) == (0.13, 0.08)
    assert make_step_cache("teacache", None, Run(levels(50), "t2v-14b")).threshold == 0.14
    assert make_step_cache("fast", None, Run(levels(50))).threshold == CACHES["easycache"].thresholds[1]


def test_runs_of_few_steps_skip_none() -> None:
    assert max(preset.num_inference_steps for preset in PRESETS.values()) <= FEW_STEPS
    for name in ("fast", *CACHES):
        assert make_step_cache(name, 2.0, Run(levels(FEW_STEPS))).__class__ is StepCache
        assert make_step_cache(name, 2.0, Run(levels(FEW_STEPS + 1))).__class__ is not StepCache


def test_the_room_is_counted_for_each_branch() -> None:
    assert kept_bytes("off", 1000, 2, 2) == kept_bytes("fast", 1000, 2, 2) == 0
    assert kept_bytes("teacache", 1000, 2, 2) == kept_bytes("magcache", 1000, 2, 2) == 4000
    assert kept_bytes("first-block", 1000, 3, 2) == 6000 + 8000


def test_a_forecast_counts_the_steps_that_will_be_computed() -> None:
    request = resolve(GenerationRequest(num_inference_steps=50))
    asked = [("off", None), ("conservative", None), ("fast", None), ("magcache", 0.1), ("fast", 0.0)]
    works = [
        work_of(request.model_copy(update={"step_cache": name, "step_cache_threshold": threshold}))
        for name, threshold in asked
    ]
    assert [work / works[0] for work in works] == pytest.approx([1, 0.5, 0.4, 0.6, 1])
    few = request.model_copy(update={"num_inference_steps": FEW_STEPS, "step_cache": "fast"})
    assert work_of(few) == pytest.approx(works[0] * FEW_STEPS / 50)

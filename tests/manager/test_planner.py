"""Plans for cards that are not here: what is placed where, and that the promises hold."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.manager import planner
from wan_core.manager.planner import SLOTS, Budget, pinnable_bytes, plan_memory, spread, usable_bytes
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.plan import MemoryPlan
from wan_core.schema.schemes import SCHEMES, DeviceFacts
from wan_core.schema.windows import WindowOptions

GIB = 2**30
CARDS = (6, 8, 10, 12, 16, 24, 32, 48, 80, 141)
SIZES = {"480p": (832, 480), "720p": (1280, 720)}
ADA = DeviceFacts("cuda", (8, 9), "RTX 4090")
SMALL, LARGE = "wan2.1-t2v-1.3b", "wan2.1-t2v-14b"


def budget(gib: float, facts: DeviceFacts = ADA, ram: float = 64, disk: int = 50 * GIB) -> Budget:
    """A card of which the system holds half a GiB."""
    return Budget(facts, int(gib * GIB), int((gib - 0.5) * GIB), int(ram * GIB), disk)


def request(spec: ModelSpec, size: str, **values: object) -> GenerationRequest:
    width, height = SIZES[size]
    given = {"task": spec.tasks[0], "width": width, "height": height, "num_frames": 81, **values}
    return GenerationRequest(model=spec.id, **given)


def plan(model: str, size: str, there: Budget, **settings: object) -> MemoryPlan:
    return plan_memory(MODELS[model], request(MODELS[model], size), there, Settings(**settings))


def denoising(made: MemoryPlan) -> int:
    return next(stage.working for stage in made.stages if stage.name == "denoise")


@pytest.mark.parametrize("model", MODELS)
def test_every_card_gets_a_plan_within_it_or_an_honest_no(model: str) -> None:
    for gib, size in itertools.product(CARDS, SIZES):
        there = budget(gib)
        made = plan(model, size, there)
        assert made.fits == (made.peak_vram <= usable_bytes(there, Settings()) < gib * GIB)
        assert made.peak_vram == max(stage.bytes for stage in made.stages)
        if made.fits:
            assert "needs" not in made.reason
        else:
            assert f"needs {made.peak_vram / GIB:.1f} GiB of the device's memory" in made.reason
            assert "choose a smaller size or fewer frames, or precision fp8_scaled" in made.reason
            assert made.in_pieces  # nothing smaller is left to try
        assert set(made.placements) == set(made.precision) == {str(role) for role in MODELS[model].weights}
        assert set(made.precision.values()) <= {"bf16", "fp16", "fp32"}  # auto rounds nothing


@pytest.mark.parametrize("model", MODELS)
def test_more_memory_never_moves_more(model: str) -> None:
    for size in SIZES:
        plans = [plan(model, size, budget(gib)) for gib in CARDS]
        for smaller, larger in itertools.pairwise(plans):
            assert smaller.fits <= larger.fits
            assert smaller.moved_bytes_per_step >= larger.moved_bytes_per_step
        assert plans[-1].fits and set(plans[-1].placements.values()) == {"resident"}
        assert "nothing moves" in plans[-1].reason


def test_the_small_model_runs_whole_in_8_gib() -> None:
    made = plan(SMALL, "480p", budget(8))
    assert made.fits and made.placements["transformer"] == "on_demand"
    assert made.precision["transformer"] == "bf16"
    assert made.moved_bytes_per_step == 0 and made.vae_tile is None
    assert made.placements["text_encoder"] == "streamed"


def test_the_large_model_runs_in_12_gib_exact_or_in_fp8() -> None:
    streamed = plan(LARGE, "480p", budget(12))
    assert streamed.fits and streamed.precision["transformer"] == "bf16"
    assert streamed.placements["transformer"] == "streamed" and not streamed.in_pieces
    block = 2 * (8 * 5120**2 + 2 * 5120 * 13824 + 8 * 5120 + 13824 + 5120) + 4 * (4 + 2 + 6) * 5120
    assert streamed.moved_bytes_per_step == 2 * streamed.streamed_blocks * block
    assert f"{streamed.streamed_blocks} of 40 blocks come and go while others compute" in streamed.reason
    small = plan(LARGE, "480p", budget(12), precision="fp8_scaled")
    assert small.fits and small.precision["transformer"] == "fp8_scaled"
    assert small.moved_bytes_per_step < streamed.moved_bytes_per_step / 2


@pytest.mark.parametrize("gib", [8, 12, 16, 24])
def test_as_few_blocks_are_streamed_as_will_do(gib: int) -> None:
    made, there = plan(LARGE, "480p", budget(gib)), budget(gib)
    block = made.moved_bytes_per_step // 2 // made.streamed_blocks
    denoising = next(stage for stage in made.stages if stage.name == "denoise")
    room = usable_bytes(there, Settings()) - denoising.bytes + denoising.others
    assert made.streamed_blocks > SLOTS and 0 <= room < block


def test_streamed_blocks_are_spread() -> None:
    assert spread(3, 9) == (1, 4, 7)
    assert spread(40, 40) == tuple(range(40))
    for count in range(1, 41):
        assert len(set(spread(count, 40))) == count
        gaps = {b - a for a, b in itertools.pairwise((*spread(count, 40), spread(count, 40)[0] + 40))}
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("profile", "placement", "streamed", "pieces"),
    [
        ("full", "resident", 0, False),
        ("model", "on_demand", 0, False),
        ("blocks", "streamed", 15, False),
        ("sequential", "streamed", 40, True),
        ("auto", "streamed", 15, False),
    ],
)
def test_profiles(profile: str, placement: str, streamed: int, pieces: bool) -> None:
    made = plan(LARGE, "480p", budget(24), profile=profile)
    assert made.placements["transformer"] == placement
    assert (made.streamed_blocks, made.in_pieces) == (streamed, pieces)
    assert made.fits == (profile not in ("full", "model"))


def test_a_person_may_keep_everything_on_the_device_or_move_what_need_not_move() -> None:
    full = plan(LARGE, "480p", budget(80), profile="full")
    assert full.fits and set(full.placements.values()) == {"resident"}
    sequential = plan(LARGE, "480p", budget(80), profile="sequential")
    assert sequential.peak_vram < 12 * GIB
    turns = plan(LARGE, "480p", budget(80), profile="model")
    assert set(turns.placements.values()) == {"on_demand"}
    assert "take turns" in turns.reason


def test_limit_and_buffer_are_hard() -> None:
    whole = plan(LARGE, "480p", budget(80))
    for limited in (
        plan(LARGE, "480p", budget(80), vram_limit_gib=12),
        plan(LARGE, "480p", budget(80), vram_limit_gib=32, vram_buffer_gib=20),
    ):
        assert limited.fits and limited.peak_vram < 12 * GIB < whole.peak_vram
    there = budget(80)
    assert usable_bytes(there, Settings(vram_limit_gib=200)) == usable_bytes(there, Settings())
    assert usable_bytes(budget(12), Settings(vram_buffer_gib=12)) == 0


def test_the_vae_works_in_tiles_where_whole_pictures_do_not_fit() -> None:
    assert plan(SMALL, "720p", budget(16)).vae_tile is None
    assert plan(SMALL, "720p", budget(12)).vae_tile == 256
    assert plan(SMALL, "720p", budget(12), vae_tiling="off").vae_tile is None
    assert not plan(SMALL, "720p", budget(12), vae_tiling="off").fits
    assert plan(SMALL, "480p", budget(80), vae_tiling="on", vae_tile=384).vae_tile == 384
    assert plan(SMALL, "480p", budget(3.2), vae_tile=1024).vae_tile == 256  # halved until it fits
    nowhere = plan(SMALL, "480p", budget(1.5))
    assert nowhere.vae_device == "cpu" == nowhere.placements["vae"]


@pytest.mark.parametrize(
    ("place", "placement", "precision"),
    [("auto", "on_demand", "bf16"), ("cpu", "cpu", "bf16"), ("int8", "on_demand", "int8")],
)
def test_where_the_text_encoder_reads(place: str, placement: str, precision: str) -> None:
    made = plan(SMALL, "480p", budget(16), text_encoder=place)
    assert made.placements["text_encoder"] == placement
    assert made.precision["text_encoder"] == precision
    reading = made.stages[0]
    assert reading.name == "read the prompt"
    assert reading.weights / GIB == pytest.approx({"auto": 10.58, "cpu": 0, "int8": 6.27}[place], abs=0.01)


def test_short_of_ram_weights_stay_in_their_file() -> None:
    fun = "wan2.1-fun-14b-control"  # published in bfloat16, so its file can be mapped as it is
    assert not plan(fun, "480p", budget(12, ram=80)).from_disk
    short = plan(fun, "480p", budget(12, ram=16))
    assert short.from_disk and short.fits and short.peak_ram < 4 * GIB
    assert "a copy does not fit into RAM" in short.reason
    assert short.moved_seconds_per_step > plan(fun, "480p", budget(12)).moved_seconds_per_step
    cast = plan(LARGE, "480p", budget(12, ram=16))  # published in float32: cast on the way
    assert cast.from_disk and cast.fits
    packed = plan(LARGE, "480p", budget(12, ram=8), precision="fp8_scaled")
    assert not packed.fits and "GiB of RAM" in packed.reason


def test_what_a_file_holds_packed_stays_in_it() -> None:
    spec = MODELS[LARGE]
    packed = dataclasses.replace(spec.weights[Role.TRANSFORMER], scheme="gguf_q8_0")
    found = dataclasses.replace(spec, weights={**spec.weights, Role.TRANSFORMER: packed})
    for ram, from_disk in ((64, False), (8, True)):
        made = plan_memory(found, request(found, "480p"), budget(12, ram=ram), Settings())
        assert made.precision["transformer"] == "gguf_q8_0"
        assert made.fits and made.streamed_blocks > 0 and made.from_disk == from_disk


def test_no_more_than_half_of_the_free_ram_is_pinned() -> None:
    assert pinnable_bytes(budget(12, ram=33)) == 16 * GIB
    assert pinnable_bytes(budget(12, ram=0.5)) == 0


def test_what_runs_on_the_cpu_works_in_ram() -> None:
    on_card, tiny_card = (plan(SMALL, "480p", budget(gib)) for gib in (8, 1.5))
    assert tiny_card.vae_device == "cpu" and tiny_card.vae_tile is None
    decoding = next(stage.working for stage in on_card.stages if stage.name == "decode")
    assert decoding > 5 * GIB and tiny_card.peak_ram - on_card.peak_ram >= decoding - GIB
    cpu = DeviceFacts("cpu", name="the CPU")
    for ram, tile in ((40, None), (8, 256), (2, 64)):  # 12 GiB for a whole picture; never no plan
        made = plan(SMALL, "720p", Budget(cpu, 0, 0, ram * GIB, 50 * GIB))
        assert made.vae_tile == tile, ram


def test_a_full_disk_is_said() -> None:
    made = plan(SMALL, "480p", budget(24, disk=2**20))
    assert not made.fits and "on the disk" in made.reason


def test_what_decides_the_work() -> None:
    spec = MODELS[SMALL]

    def planned(**values: object) -> MemoryPlan:
        asked = GenerationRequest(model=spec.id, **values)
        return plan_memory(spec, asked, budget(6), Settings(profile="blocks"))

    assert denoising(planned()) == denoising(planned(width=832, height=480, num_frames=81))
    assert denoising(planned(num_frames=41)) < denoising(planned())
    large = {"width": 1280, "height": 720}
    assert (
        planned(**large).moved_bytes_per_step == 2 * planned(**large, guidance_scale=1).moved_bytes_per_step
    )
    names = [stage.name for stage in planned().stages]
    assert names == ["read the prompt", "denoise", "decode"]
    named = [stage.name for stage in plan("wan2.1-i2v-14b-480p", "480p", budget(24)).stages]
    assert named == ["read the prompt", "see the picture", "encode", "denoise", "decode"]


@pytest.mark.parametrize("model", ["wan2.1-vace-1.3b", "phantom-1.3b"])
def test_references_make_the_sequence_longer(model: str) -> None:
    spec = MODELS[model]
    work = [
        denoising(
            plan_memory(spec, request(spec, "480p", task="control", references=names), budget(24), Settings())
        )
        for names in (("0" * 32 + ".png",), ("0" * 32 + ".png", "1" * 32 + ".png"))
    ]
    assert work[1] - work[0] == pytest.approx(work[0] / 23, rel=0.05)  # one latent frame more than 22


def test_passes_are_made_at_once_where_one_alone_is_small() -> None:
    def planned(gib: float, **values: object) -> MemoryPlan:
        asked = GenerationRequest(model=LARGE, **values)
        return plan_memory(MODELS[LARGE], asked, budget(gib), Settings())

    picture = {"task": "t2i", "width": 832, "height": 480}
    roomy, one = planned(48, **picture), planned(48, **picture, guidance_scale=1)
    assert roomy.passes_at_once and "with and without the prompt in one pass" in roomy.explain()
    assert not one.passes_at_once and not planned(48).passes_at_once  # 81 frames fill any device
    assert denoising(roomy) - denoising(one) == MODELS[LARGE].dit.working_bytes(1, 60, 104)


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_for_passes_at_once_nothing_moves_that_would_not_move_anyhow(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = MODELS[model]
    asked = GenerationRequest(model=model, width=480, height=480, num_frames=33)
    cards = [gib / 2 for gib in range(4, 70)]
    plans = [plan_memory(spec, asked, budget(gib), Settings()) for gib in cards]
    monkeypatch.setattr(planner, "MOST_TOKENS_AT_ONCE", 0)
    alone = [plan_memory(spec, asked, budget(gib), Settings()) for gib in cards]
    pairs = [(made, other) for made, other in zip(plans, alone, strict=True) if made.passes_at_once]
    assert 0 < len(pairs) < len(cards)
    for made, other in pairs:
        assert made.fits and made.placements == other.placements and made.vae_tile == other.vae_tile
        moved = (other.moved_bytes_per_step, made.moved_bytes_per_step)
        assert moved == (0, 0) or moved[1] < moved[0]  # each block comes once for both


def test_a_cpu_holds_everything_in_ram() -> None:
    cpu = Budget(DeviceFacts("cpu", name="the CPU"), 0, 0, 24 * GIB, 50 * GIB)
    made = plan_memory(MODELS["demo"], GenerationRequest(), cpu, Settings())
    assert set(made.placements.values()) == {"cpu"} and made.fits
    assert made.peak_vram == 0 and made.vae_device == "cpu"
    assert made.precision == {"text_encoder": "bf16", "transformer": "fp32", "vae": "fp32"}
    assert "there is no GPU" in made.reason
    assert not plan(LARGE, "480p", cpu).fits


def test_apple_shares_its_memory_and_streams_nothing() -> None:
    apple = Budget(DeviceFacts("mps", name="Apple M3"), 24 * GIB, 24 * GIB, 30 * GIB, 50 * GIB)
    made = plan(SMALL, "480p", apple)
    assert made.fits and "streamed" not in made.placements.values()
    assert not plan(LARGE, "480p", apple).fits


def test_older_cards_compute_in_float16() -> None:
    turing = DeviceFacts("cuda", (7, 5), "RTX 2080")
    made = plan(SMALL, "480p", budget(8, turing))
    assert made.precision["transformer"] == "fp16"
    assert made.precision["text_encoder"] == "bf16"


@pytest.mark.parametrize("precision", [name for name in SCHEMES if SCHEMES[name].selectable])
def test_every_precision_can_be_planned(precision: str) -> None:
    made = plan(LARGE, "480p", budget(24), precision=precision)
    assert made.precision["transformer"] == precision
    assert made.fits


def test_explaining_names_every_part_and_stage() -> None:
    text = plan(LARGE, "480p", budget(12)).explain()
    lines = text.splitlines()
    assert lines[0].startswith("Wan2.1 T2V 14B with 81 frames of 832x480: the transformer (27.0 GiB)")
    assert "transformer: bf16, 33 of 40 blocks streamed" in lines
    assert "denoise: 10.9 GiB" in lines
    assert any(line.endswith("copied in each step, about 3.9 s") for line in lines)


def test_plans_travel_as_json() -> None:
    made = plan(LARGE, "480p", budget(12))
    assert MemoryPlan.model_validate_json(made.model_dump_json()) == made


def test_a_model_of_other_parts_is_planned_as_it_is() -> None:
    fewer = dataclasses.replace(MODELS["speedcontrol-1.3b"])
    made = plan_memory(fewer, request(fewer, "480p"), budget(24), Settings())
    assert made.placements["motion_controller"] == "resident"


@pytest.mark.parametrize("model", [SMALL, LARGE])
def test_windows_are_counted_and_not_the_clip(model: str) -> None:
    """A clip six times as long takes the memory of its window, and what its own latents take."""
    spec = MODELS[model]

    def made(frames: int, **values: object) -> MemoryPlan:
        asked = request(spec, "480p", **{"num_frames": frames, **values})
        return plan_memory(spec, asked, budget(80), Settings())

    window = WindowOptions()
    short, long = denoising(made(81)), denoising(made(481, windows=window))
    latents = 4 * 16 * (121 - 21) * (480 // 8) * (832 // 8)
    assert long - short == 10 * latents
    assert denoising(made(481)) > 4 * short
    assert denoising(made(81, windows=window)) == short
    kept = {"windows": window, "step_cache": "teacache"}
    numbers = spec.dit.tokens(21, 60, 104) * spec.dit.dim
    windows = 9  # of 21 latent frames with 7 in common, over 121
    assert denoising(made(481, **kept)) - long == 2 * 2 * windows * numbers
    tight = plan_memory(spec, request(spec, "480p", num_frames=481, windows=window), budget(2), Settings())
    assert "choose a smaller size or shorter windows, or precision fp8_scaled" in tight.reason
    moving = WindowOptions(schedule="uniform")
    assert denoising(made(481, windows=moving, step_cache="teacache")) == long

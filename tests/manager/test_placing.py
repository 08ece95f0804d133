"""Parts on a device, as planned: what is where, to the byte, on a device that counts."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.manager.fake_mover import FakeMover
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.engine import Engine
from wan_core.manager import planner
from wan_core.manager.model_manager import ModelManager
from wan_core.manager.part_kinds import PART_KINDS
from wan_core.manager.planner import PROGRAM_BYTES, SLOTS, Budget
from wan_core.manager.residency import ALIGNMENT
from wan_core.models.dit.model import WanDiT
from wan_core.schema import GenerationRequest, OutOfMemory, ProgressEvent, Settings
from wan_core.schema.schemes import DeviceFacts

TRANSFORMER, TEXT_ENCODER, VAE = Role.TRANSFORMER, Role.TEXT_ENCODER, Role.VAE
GIB = 2**30
PLENTY = 8 * GIB

Make = Callable[..., tuple[ModelManager, FakeMover]]


def ignore(event: ProgressEvent) -> None:
    """An ``emit`` that nobody listens to."""


@pytest.fixture
def make(settings: Settings) -> Make:
    """A manager for a pretended NVIDIA card, and what copies to it."""

    def made(
        vram: int = PLENTY, ram: int = PLENTY, mover: FakeMover | None = None, **chosen: object
    ) -> tuple[ModelManager, FakeMover]:
        mover = mover or FakeMover()
        there = Budget(DeviceFacts("cuda", (8, 9), "a card"), vram, vram, ram, PLENTY)
        asked = settings.model_copy(update={"device": "cpu", "precision": "fp32", **chosen})
        return ModelManager(asked, budget=there, mover=mover), mover

    return made


def use(manager: ModelManager, spec: ModelSpec, *roles: Role) -> None:
    for role in roles:
        with manager.use(spec, role, ignore):
            pass


def bytes_of(spec: ModelSpec, make: Make) -> dict[Role, int]:
    manager, _ = make()
    use(manager, spec, *spec.weights)
    return manager.loaded()


def on_device(manager: ModelManager, role: Role) -> bool:
    return any(part.on_device for part in manager._components.values() if part.role is role)


def request(**values: object) -> GenerationRequest:
    given = {"model": "tiny", "prompt": "a red circle", "seed": 3, **values}
    return GenerationRequest(**given)


def run(dit: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 16, 2, 4, 4, generator=generator)
    with torch.inference_mode():
        return dit(latents, torch.tensor([500.0]), torch.randn(1, 7, 32, generator=generator))


def test_with_room_for_all_every_part_stays(make: Make, tiny_spec: ModelSpec) -> None:
    sizes = bytes_of(tiny_spec, make)
    manager, mover = make()
    assert set(manager.plan(tiny_spec, request()).placements.values()) == {"resident"}
    use(manager, tiny_spec, TEXT_ENCODER, TRANSFORMER, VAE, TRANSFORMER)
    assert mover.allocated == sum(sizes.values())
    copies = mover.count("put")
    use(manager, tiny_spec, TEXT_ENCODER, TRANSFORMER, VAE)
    assert mover.count("put") == copies


def test_parts_that_take_turns_are_alone(make: Make, tiny_spec: ModelSpec) -> None:
    sizes = bytes_of(tiny_spec, make)
    manager, mover = make(profile="model")
    for role in (TEXT_ENCODER, TRANSFORMER, VAE, TRANSFORMER):
        with manager.use(tiny_spec, role, ignore):
            gc.collect()
            assert mover.allocated == sizes[role]
    assert manager.loaded() == sizes  # RAM keeps them


def test_the_transformer_streams_as_planned(make: Make, tiny_spec: ModelSpec) -> None:
    plain, _ = make()
    with plain.use(tiny_spec, TRANSFORMER, ignore) as dit:
        expected = run(dit)
    manager, mover = make(profile="sequential")
    plan = manager.plan(tiny_spec, request())
    assert (plan.streamed_blocks, plan.in_pieces) == (2, True)
    with manager.use(tiny_spec, TRANSFORMER, ignore) as dit:
        assert torch.equal(run(dit), expected)
        planned = next(stage for stage in plan.stages if stage.name == "denoise").weights
        tensors = len(list(dit.parameters()))
        assert planned <= mover.allocated + 2 * dit.blocks[0].modulation.nbytes
        assert mover.allocated <= planned + SLOTS * tensors * ALIGNMENT


@pytest.mark.parametrize("profile", ["auto", "full", "model", "sequential"])
def test_a_video_is_the_same_however_it_is_placed(
    make: Make, tiny: ModelSpec, settings: Settings, profile: str
) -> None:
    clean = Engine(settings).generate(request(), ignore, "clean").video.read_bytes()
    manager, mover = make(profile=profile)
    engine = Engine(settings.model_copy(update={"profile": profile}), manager)
    video = engine.generate(request(), ignore, "placed").video.read_bytes()
    assert video == clean
    plan = manager._plans["tiny"]
    promised = max(stage.weights + stage.others for stage in plan.stages)
    tensors = sum(len(list(part.module.parameters())) for part in manager._components.values())
    assert 0 < mover.peak <= promised + SLOTS * tensors * ALIGNMENT
    engine.unload()
    gc.collect()
    assert mover.allocated == mover.pinned == 0
    assert manager.loaded() == {}


def test_a_stage_that_needs_room_to_work_gets_it_from_idle_parts(make: Make, tiny_spec: ModelSpec) -> None:
    sizes = bytes_of(tiny_spec, make)
    manager, _ = make()
    use(manager, tiny_spec, *tiny_spec.weights)
    usable = PLENTY - PLENTY // 32 - 128 * 2**20
    spare = usable - sum(sizes.values())
    for working, placed in ((spare, {*sizes}), (spare + 1, {TEXT_ENCODER, VAE}), (PLENTY, {VAE})):
        with manager.use(tiny_spec, VAE, ignore, working):
            assert {role for role in sizes if on_device(manager, role)} == placed


def test_work_too_large_for_the_device_is_tried_all_the_same(make: Make, tiny_spec: ModelSpec) -> None:
    manager, _ = make()
    with manager.use(tiny_spec, VAE, ignore, 2 * PLENTY):
        assert on_device(manager, VAE)


def test_parts_of_another_model_leave(make: Make, tiny_spec: ModelSpec) -> None:
    manager, _ = make()
    use(manager, tiny_spec, TRANSFORMER, TEXT_ENCODER)
    use(manager, replace(tiny_spec, id="sibling"), VAE)
    assert not on_device(manager, TRANSFORMER)
    assert not on_device(manager, TEXT_ENCODER)


def test_withdrawn_parts_stay_in_ram(make: Make, tiny_spec: ModelSpec) -> None:
    manager, mover = make()
    use(manager, tiny_spec, VAE, TRANSFORMER)
    with manager.use(tiny_spec, VAE, ignore):
        assert manager.withdraw()
        assert on_device(manager, VAE) and not on_device(manager, TRANSFORMER)
    assert manager.withdraw() and not manager.withdraw()
    gc.collect()
    assert mover.allocated == 0
    assert set(manager.loaded()) == {VAE, TRANSFORMER}
    assert manager.unload() and not manager.unload()


def test_unloading_leaves_no_tensor_in_ram(make: Make, tiny_spec: ModelSpec) -> None:
    manager, _ = make(profile="sequential")
    use(manager, tiny_spec, *tiny_spec.weights)
    parts = list(manager._components.values())
    held = [weakref.ref(tensor) for part in parts for tensor in part.module.parameters()]
    streamed = next(part for part in parts if part.role is TRANSFORMER)
    held += [weakref.ref(unit) for unit in streamed.residency._packed.values()]
    assert len(held) > 100 and all(tensor() is not None for tensor in held)
    del parts, streamed
    manager.unload()
    assert [tensor() for tensor in held if tensor() is not None] == []


def test_a_part_can_be_lent_off_the_device(make: Make, tiny_spec: ModelSpec) -> None:
    manager, mover = make()
    use(manager, tiny_spec, VAE)
    with manager.use(tiny_spec, VAE, ignore, on_cpu=True):
        gc.collect()
        assert mover.allocated == 0


def test_a_part_larger_than_the_device(make: Make, tiny_spec: ModelSpec) -> None:
    manager, _ = make(vram=GIB // 8 + 2**20, profile="full")
    with pytest.raises(OutOfMemory, match=r"The transformer of Tiny needs .* choose a smaller model"):
        use(manager, tiny_spec, TRANSFORMER, TRANSFORMER)
    with manager.use(tiny_spec, TEXT_ENCODER, ignore):
        assert not on_device(manager, TEXT_ENCODER)


def test_out_of_memory_while_placing_leaves_nothing_behind(make: Make, tiny_spec: ModelSpec) -> None:
    size = bytes_of(tiny_spec, make)[TRANSFORMER]
    manager, mover = make(mover=FakeMover(capacity=size - 1))
    with pytest.raises(torch.OutOfMemoryError):
        use(manager, tiny_spec, TRANSFORMER)
    gc.collect()
    assert mover.allocated == 0 and not on_device(manager, TRANSFORMER)


def test_without_room_for_a_copy_weights_stay_in_their_file(make: Make, tiny_spec: ModelSpec) -> None:
    copied, _ = make(precision="bf16", profile="sequential")
    with copied.use(tiny_spec, TRANSFORMER, ignore) as dit:
        expected = run(dit)
    manager, _ = make(ram=PROGRAM_BYTES, precision="bf16", profile="sequential")
    assert manager.plan(tiny_spec, request()).from_disk
    with manager.use(tiny_spec, TRANSFORMER, ignore) as dit:
        assert dit.patch_embedding.weight.dtype == torch.bfloat16
        assert torch.equal(run(dit), expected)
    manager.withdraw()
    part = next(iter(manager._components.values()))
    assert {tensor.dtype for tensor in part.module.parameters()} == {torch.float32}  # as in the file


def test_pinned_memory_is_bounded_by_what_is_free(
    make: Make, tiny_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the weights are a copy in RAM: what may not be pinned is staged from there."""
    free, _ = make(precision="bf16", profile="sequential")
    with free.use(tiny_spec, TRANSFORMER, ignore) as dit:
        expected = run(dit)
        part = next(iter(free._components.values()))
        everything, staging = part.residency.pinned_bytes, 2 * part.residency._stream._slots[0].nbytes
    ram = PROGRAM_BYTES + part.bytes  # for the copy and no more
    monkeypatch.setattr(planner, "_PINNED_SHARE", 0.25)
    manager, mover = make(ram=ram, precision="bf16", profile="sequential")
    with manager.use(tiny_spec, TRANSFORMER, ignore) as dit:
        assert torch.equal(run(dit), expected)
        assert staging < mover.pinned <= part.bytes // 4 + staging < everything


@pytest.mark.parametrize("scheme", ["fp8_scaled", "int8", "fp8_e4m3"])
def test_quantised_weights_stream_too(make: Make, tiny_spec: ModelSpec, scheme: str) -> None:
    resident, _ = make(precision=scheme)
    with resident.use(tiny_spec, TRANSFORMER, ignore) as dit:
        expected = run(dit)
    manager, mover = make(precision=scheme, profile="sequential")
    with manager.use(tiny_spec, TRANSFORMER, ignore) as dit:
        assert torch.equal(run(dit), expected)
        assert mover.count("send") > 2


def test_the_lower_profile_of_a_retry_is_planned(make: Make, tiny: ModelSpec) -> None:
    manager, _ = make()
    assert manager.plan(tiny, request()).placements["transformer"] == "resident"
    assert manager.plan(tiny, request(), "sequential").placements["transformer"] == "streamed"
    use(manager, tiny, TRANSFORMER)
    part = next(iter(manager._components.values()))
    assert part.residency.pinned_bytes > 0
    manager.plan(tiny, request())
    use(manager, tiny, TRANSFORMER)
    assert part.residency.pinned_bytes == 0


def test_plans_know_the_catalog(make: Make) -> None:
    manager, _ = make(vram=12 * GIB, ram=64 * GIB, precision="auto")
    spec = MODELS["wan2.1-t2v-14b"]
    made = manager.plan(spec, GenerationRequest(model=spec.id))
    assert made.fits and made.streamed_blocks > 0


def test_names_that_stay_in_float32_are_the_transformers_own() -> None:
    assert PART_KINDS[TRANSFORMER].keeps_fp32 is WanDiT.keep_in_fp32

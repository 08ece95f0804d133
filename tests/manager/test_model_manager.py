"""Borrowing, evicting and swapping, counted; on the CPU and on a pretended device."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wan_core.catalog import ModelSpec, Role
from wan_core.manager import model_manager
from wan_core.manager.devices import Budget
from wan_core.manager.model_manager import ModelManager
from wan_core.quantization.linear import QuantLinear
from wan_core.schema import Cancelled, OutOfMemory, ProgressEvent, Settings, WeightsError

TRANSFORMER, TEXT_ENCODER, VAE = Role.TRANSFORMER, Role.TEXT_ENCODER, Role.VAE
PLENTY = 2**30


def ignore(event: ProgressEvent) -> None:
    """An ``emit`` that nobody listens to."""


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Counter[Role]:
    """How often each part is read from disk."""
    counts: Counter[Role] = Counter()

    def counting(role: Role, load):
        def loader(*arguments: object):
            counts[role] += 1
            return load(*arguments)

        return loader

    for role, load in list(model_manager._LOADERS.items()):
        monkeypatch.setitem(model_manager._LOADERS, role, counting(role, load))
    return counts


def manager(settings: Settings, **budget: int) -> ModelManager:
    sizes = {"host": PLENTY, "device": PLENTY, "largest": PLENTY, **budget}
    return ModelManager(settings.model_copy(update={"device": "cpu"}), budget=Budget(**sizes))


def pretend_device(made: ModelManager) -> ModelManager:
    """Place parts on "meta": tensors there take no memory, but where they are can be seen."""
    made.device = torch.device("meta")
    return made


def use(made: ModelManager, spec: ModelSpec, *roles: Role) -> None:
    for role in roles:
        with made.use(spec, role, ignore):
            pass


def sizes_of(made: ModelManager, spec: ModelSpec) -> dict[Role, int]:
    use(made, spec, *spec.weights)
    sizes = made.loaded()
    made.unload()
    return sizes


def on_device(made: ModelManager, spec: ModelSpec, role: Role) -> bool:
    """Where an idle part's tensors are, without borrowing it."""
    part = next(c for (r, *_), c in made._components.items() if r is role)
    return next(part.module.parameters()).device.type == "meta"


def test_a_part_is_loaded_once_and_lent_ready_for_inference(settings, tiny_spec, loads) -> None:
    made = manager(settings)
    assert made.loaded() == {}
    for _ in range(3):
        with made.use(tiny_spec, VAE, ignore) as vae:
            assert not vae.training
            assert not any(parameter.requires_grad for parameter in vae.parameters())
    assert loads == {VAE: 1}
    assert made.loaded() == {VAE: sum(p.nbytes for p in vae.parameters())}


def test_unload_drops_all_but_what_is_borrowed(settings, tiny_spec) -> None:
    made = manager(settings)
    use(made, tiny_spec, *tiny_spec.weights)
    with made.use(tiny_spec, VAE, ignore):
        made.unload()
        assert set(made.loaded()) == {VAE}
    made.unload()
    assert made.loaded() == {}


def test_in_little_memory_each_part_makes_room_for_the_next(settings, tiny_spec, loads) -> None:
    made = manager(settings, host=1)
    for role in (TEXT_ENCODER, TRANSFORMER, VAE, TEXT_ENCODER):
        use(made, tiny_spec, role)
        assert set(made.loaded()) == {role}
    assert loads == {TEXT_ENCODER: 2, TRANSFORMER: 1, VAE: 1}


def test_the_longest_unused_goes_first(settings, tiny_spec, loads) -> None:
    sizes = sizes_of(manager(settings), tiny_spec)
    loads.clear()
    made = manager(settings, host=sizes[TEXT_ENCODER] + sizes[TRANSFORMER] + sizes[VAE] - 1)
    use(made, tiny_spec, TEXT_ENCODER, TRANSFORMER, TEXT_ENCODER, VAE)
    assert set(made.loaded()) == {TEXT_ENCODER, VAE}
    assert loads == {TEXT_ENCODER: 1, TRANSFORMER: 1, VAE: 1}


def test_a_borrowed_part_is_never_dropped(settings, tiny_spec) -> None:
    made = manager(settings, host=1)
    with made.use(tiny_spec, TRANSFORMER, ignore):
        use(made, tiny_spec, VAE)
        assert set(made.loaded()) == {TRANSFORMER, VAE}
    use(made, tiny_spec, TEXT_ENCODER)
    assert set(made.loaded()) == {TEXT_ENCODER}


def test_a_part_returns_when_its_borrower_fails(settings, tiny_spec) -> None:
    made = manager(settings)
    with pytest.raises(Cancelled), made.use(tiny_spec, VAE, ignore):
        raise Cancelled
    made.unload()
    assert made.loaded() == {}


def test_cancelling_a_load_leaves_no_half_part(settings, tiny_spec, loads) -> None:
    def stop(event: ProgressEvent) -> None:
        if event.step > 0:
            raise Cancelled

    made = manager(settings)
    with pytest.raises(Cancelled), made.use(tiny_spec, VAE, stop):
        pass
    assert made.loaded() == {}
    use(made, tiny_spec, VAE)
    assert set(made.loaded()) == {VAE}


def test_models_that_share_files_share_the_loaded_part(settings, tiny_spec, loads) -> None:
    made = manager(settings)
    use(made, tiny_spec, TEXT_ENCODER)
    use(made, replace(tiny_spec, id="sibling"), TEXT_ENCODER)
    assert loads == {TEXT_ENCODER: 1}


def test_on_a_device_parts_stay_there_while_there_is_room(settings, tiny_spec) -> None:
    made = pretend_device(manager(settings))
    use(made, tiny_spec, *tiny_spec.weights)
    assert all(on_device(made, tiny_spec, role) for role in tiny_spec.weights)


def test_on_a_device_parts_are_swapped_not_reloaded(settings, tiny_spec, loads) -> None:
    plain = manager(settings)
    with plain.use(tiny_spec, TRANSFORMER, ignore) as module:
        expected = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    loads.clear()
    made = pretend_device(manager(settings, device=1))
    for _ in range(3):
        use(made, tiny_spec, TRANSFORMER)
        assert on_device(made, tiny_spec, TRANSFORMER)
        use(made, tiny_spec, VAE)
        assert on_device(made, tiny_spec, VAE)
        assert not on_device(made, tiny_spec, TRANSFORMER)
    assert loads == {TRANSFORMER: 1, VAE: 1}
    back = next(c for (r, *_), c in made._components.items() if r is TRANSFORMER).module.state_dict()
    assert all(torch.equal(back[name], tensor) for name, tensor in expected.items())


def test_a_stage_that_needs_room_to_work_gets_it_from_idle_parts(settings, tiny_spec, loads) -> None:
    sizes = sizes_of(manager(settings), tiny_spec)
    loads.clear()
    made = pretend_device(manager(settings, largest=sum(sizes.values()) + 1000))
    use(made, tiny_spec, *tiny_spec.weights)
    for working, placed in ((1000, {*tiny_spec.weights}), (1001, {TEXT_ENCODER, VAE}), (PLENTY, {VAE})):
        with made.use(tiny_spec, VAE, ignore, working):  # it is on the device already
            assert {role for role in tiny_spec.weights if on_device(made, tiny_spec, role)} == placed
    assert set(loads.values()) == {1}


def test_room_to_work_counts_for_a_part_that_is_yet_to_be_placed(settings, tiny_spec) -> None:
    sizes = sizes_of(manager(settings), tiny_spec)
    made = pretend_device(manager(settings, largest=sizes[TRANSFORMER] + sizes[VAE] + 999))
    use(made, tiny_spec, TRANSFORMER)
    with made.use(tiny_spec, VAE, ignore, 1000):
        assert on_device(made, tiny_spec, VAE)
        assert not on_device(made, tiny_spec, TRANSFORMER)


def test_work_too_large_for_the_device_is_tried_all_the_same(settings, tiny_spec) -> None:
    made = pretend_device(manager(settings))
    with made.use(tiny_spec, VAE, ignore, 2 * PLENTY):
        assert on_device(made, tiny_spec, VAE)


@pytest.mark.parametrize(
    ("weights", "working", "fits"),
    [(60, 0, True), (61, 0, False), (60, 30, True), (60, 31, False), (0, 90, True), (0, 91, False)],
)
def test_weights_and_work_share_the_device(weights: int, working: int, fits: bool) -> None:
    assert model_manager._fits(weights, working, Budget(host=0, device=60, largest=90)) == fits


def test_withdrawn_parts_stay_in_ram(settings, tiny_spec, loads) -> None:
    made = pretend_device(manager(settings))
    use(made, tiny_spec, VAE, TRANSFORMER)
    with made.use(tiny_spec, VAE, ignore):
        assert made.withdraw()
        assert on_device(made, tiny_spec, VAE)
    assert not on_device(made, tiny_spec, TRANSFORMER)
    assert made.withdraw() and not made.withdraw()
    use(made, tiny_spec, VAE, TRANSFORMER)
    assert loads == {VAE: 1, TRANSFORMER: 1}
    assert made.unload() and not made.unload()


def test_a_text_encoder_too_large_for_the_device_drives_nobody_out(settings, tiny_spec) -> None:
    made = pretend_device(manager(settings, host=3 * PLENTY))
    use(made, tiny_spec, TEXT_ENCODER)
    made.withdraw()
    next(iter(made._components.values())).bytes = PLENTY + 1
    use(made, tiny_spec, VAE)
    with made.use(tiny_spec, TEXT_ENCODER, ignore) as encoder:
        assert next(encoder.parameters()).device.type == "cpu"
        assert on_device(made, tiny_spec, VAE)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_room_in_ram_is_made_for_the_size_after_the_cast(settings, tiny_spec, precision) -> None:
    asked: list[int] = []
    made = manager(settings.model_copy(update={"precision": precision}))
    make_room = made._make_host_room
    made._make_host_room = lambda size: (asked.append(size), make_room(size))
    for role in tiny_spec.weights:
        use(made, tiny_spec, role)
        assert asked.pop() == made.loaded()[role]


def test_what_stays_as_it_is_in_the_file_counts_as_its_tensors(settings, tiny_spec) -> None:
    asked: list[int] = []
    made = manager(settings)  # on a CPU the text encoder's file is mapped
    made._make_host_room = asked.append
    use(made, tiny_spec, TEXT_ENCODER)
    assert asked == [made.loaded()[TEXT_ENCODER]]


def test_a_part_larger_than_the_device(settings, tiny_spec) -> None:
    made = pretend_device(manager(settings, device=1, largest=50_000))
    with pytest.raises(OutOfMemory, match=r"The transformer of Tiny needs .* choose a smaller model"):
        use(made, tiny_spec, TRANSFORMER)
    with made.use(tiny_spec, TEXT_ENCODER, ignore) as encoder:
        assert next(encoder.parameters()).device.type == "cpu"


def test_missing_files_are_one_sentence(settings: Settings, tiny_spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Tiny lacks"):
        use(manager(settings), replace(tiny_spec, folder=tmp_path), VAE)


def test_the_tokenizer_has_a_folder_of_its_own(settings, tiny_spec) -> None:
    made = manager(settings)
    assert (made.folder(tiny_spec, "tokenizer", ignore) / "spiece.model").is_file()
    assert made.folder(tiny_spec, VAE, ignore) == tiny_spec.folder


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_parts_are_lent_in_the_chosen_precision(settings, tiny_spec, precision) -> None:
    made = manager(settings.model_copy(update={"precision": precision}))
    wanted = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    with made.use(tiny_spec, TRANSFORMER, ignore) as dit:
        assert dit.blocks[0].ffn[0].weight.dtype == wanted
        assert dit.head.head.weight.dtype == torch.float32
    with made.use(tiny_spec, VAE, ignore) as vae:
        assert next(vae.parameters()).dtype == torch.float32
    with made.use(tiny_spec, TEXT_ENCODER, ignore) as encoder:  # float16 overflows in umT5
        expected = torch.bfloat16 if precision == "fp16" else wanted
        assert next(encoder.parameters()).dtype == expected


def test_the_settings_decide_how_weights_are_kept(settings, tiny_spec) -> None:
    kept = settings.model_copy(update={"precision": "fp8_scaled", "text_encoder": "int8"})
    asked: list[int] = []
    made = manager(kept)
    made._make_host_room = asked.append
    with made.use(tiny_spec, TRANSFORMER, ignore) as transformer:
        layers = [module for module in transformer.modules() if isinstance(module, QuantLinear)]
    assert {layer.scheme for layer in layers} == {"fp8_scaled"}
    with made.use(tiny_spec, TEXT_ENCODER, ignore) as encoder:
        assert {m.scheme for m in encoder.modules() if isinstance(m, QuantLinear)} == {"int8"}
    assert asked == [made.loaded()[TRANSFORMER], made.loaded()[TEXT_ENCODER]]

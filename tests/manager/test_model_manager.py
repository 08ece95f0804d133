"""Borrowing, loading and dropping, counted, on the CPU; ``test_placing`` has what a device adds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wan_core.catalog import ModelSpec, Role
from wan_core.manager.model_manager import ModelManager
from wan_core.manager.part_kinds import PART_KINDS
from wan_core.manager.planner import Budget
from wan_core.quantization.linear import QuantLinear
from wan_core.schema import Cancelled, ProgressEvent, Settings, WeightsError
from wan_core.schema.schemes import DeviceFacts

TRANSFORMER, TEXT_ENCODER, VAE = Role.TRANSFORMER, Role.TEXT_ENCODER, Role.VAE
PLENTY = 8 * 2**30


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

    for role, kind in list(PART_KINDS.items()):
        monkeypatch.setitem(PART_KINDS, role, replace(kind, load=counting(role, kind.load)))
    return counts


def manager(settings: Settings, host: int = PLENTY) -> ModelManager:
    """On the CPU, with so many bytes of RAM."""
    there = Budget(DeviceFacts("cpu"), 0, 0, host, PLENTY)
    return ModelManager(settings.model_copy(update={"device": "cpu"}), budget=there)


def use(made: ModelManager, spec: ModelSpec, *roles: Role) -> None:
    for role in roles:
        with made.use(spec, role, ignore):
            pass


def sizes_of(made: ModelManager, spec: ModelSpec) -> dict[Role, int]:
    use(made, spec, *spec.weights)
    sizes = made.loaded()
    made.unload()
    return sizes


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

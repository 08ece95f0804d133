"""The pretended card refuses and notes what a card would, so that the other tests here mean something."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from tests.pretend_card.card import pretended
from tests.pretend_card.tensors import MixedDevices, State
from wan_core.manager.movers import CudaMover

MIB = 2**20


@pytest.fixture
def card() -> Iterator[State]:
    with pretended(4 * MIB) as state:
        yield state


def test_it_computes_what_the_cpu_computes(card: State) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(3, 4), torch.randn(5, 4)
    found = F.linear(x.to("cuda"), w.cuda()).relu_().view(-1)[2:9]
    assert found.device == torch.device("cuda", 0)
    assert torch.equal(found.cpu(), F.linear(x, w).relu().view(-1)[2:9])


def test_a_module_moves_there_and_back(card: State) -> None:
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    expected = layer(x)
    layer.to("cuda")
    assert layer.weight.device.type == "cuda"
    assert torch.equal(layer(x.cuda()).cpu(), expected)
    assert torch.equal(layer.to("cpu")(x), expected)


@pytest.mark.parametrize(
    "mixing",
    [
        lambda here, there: here + there,
        lambda here, there: F.linear(there, here),
        lambda here, there: torch.cat([here, there]),
        lambda here, there: there.mul_(here),
        lambda here, there: F.scaled_dot_product_attention(there[None], here[None], here[None]),
    ],
    ids=["add", "linear", "cat", "in place", "attention"],
)
def test_what_mixes_is_refused(card: State, mixing) -> None:
    with pytest.raises(MixedDevices):
        mixing(torch.ones(4, 4), torch.ones(4, 4, device="cuda"))


def test_a_number_of_python_is_at_home_everywhere(card: State) -> None:
    assert (torch.ones(2, device="cuda") * torch.tensor(3.0)).tolist() == [3.0, 3.0]


def test_what_makes_the_host_wait_is_noted(card: State) -> None:
    there = torch.arange(6, device="cuda")
    assert not card.waits
    there.sum().item()
    there[there > 2]
    there.cpu()
    torch.ones(2).to("cuda")
    torch.ones(2, device="cuda").copy_(torch.zeros(2))
    assert {kind: count for (kind, _), count in card.waits.items()} == {"look": 2, "fetch": 1, "send": 2}


def test_memory_is_counted_once_for_all_views_and_ends_somewhere(card: State) -> None:
    there = torch.zeros(MIB, dtype=torch.uint8, device="cuda")
    kept = there[: MIB // 2]
    assert card.memory.held == MIB
    del there
    assert card.memory.held == MIB
    del kept
    gc.collect()
    assert card.memory.held == 0 and card.memory.peak == MIB
    with pytest.raises(torch.OutOfMemoryError):
        torch.zeros(5 * MIB, dtype=torch.uint8, device="cuda")
    assert card.memory.held == 0


def test_a_copy_beside_has_happened_only_for_who_waited(card: State) -> None:
    mover, source = CudaMover(torch.device("cuda")), torch.arange(8, dtype=torch.uint8)
    target = mover.allocate(8)
    ticket = mover.send(source, target)
    assert target.tolist() == [255] * 8
    source[0] = 77  # too early: the copy will see it
    mover.wait(ticket)
    assert target.tolist() == [77, 1, 2, 3, 4, 5, 6, 7]


def test_threads_have_it_too_and_nothing_stays_behind() -> None:
    kinds: list[str] = []
    with pretended():
        thread = threading.Thread(target=lambda: kinds.append(torch.ones(1, device="cuda").device.type))
        thread.start()
        thread.join()
    assert kinds == ["cuda"]
    assert not torch.cuda.is_available()
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        torch.ones(1, device="cuda")

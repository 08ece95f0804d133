"""Tensors that say they are on an NVIDIA card, lie in RAM, and refuse what a card would refuse.

An operation that mixes tensors of the card with tensors of RAM fails as it does in CUDA; what makes the host
wait is noted; memory is counted and limited as that of a card. The numbers are those of the CPU, so that
what a job makes can be compared with the same job on the CPU, bit for bit.
"""

from __future__ import annotations

import traceback
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)
PACKAGE = Path(__file__).parents[2] / "wan_core"
POISON = 0xFF  # NaN in every floating-point type

_LOOKS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "equal"}
"""Operations by which the host learns a number of the card."""
_MIXING = {"copy_", "_to_copy", "index", "index_put_", "_index_put_impl_"}
"""Operations that CUDA does with tensors of both."""

Arguments = tuple[Any, ...]


class MixedDevices(RuntimeError):
    """Tensors of the card and of RAM in one operation."""


class Memory:
    """Bytes on the card: what lives now, the most since the last look, and what there may be."""

    def __init__(self, total: int) -> None:
        self.total = self.limit = total
        self.held = self.peak = 0
        self._users: Counter[int] = Counter()

    def take(self, user: Tensor, storage: torch.UntypedStorage) -> None:
        """A storage lives as long as its users; the first of them counts its bytes."""
        place, size = storage.data_ptr(), storage.nbytes()
        if not self._users[place]:
            if self.held + size > self.limit:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
            self.held += size
            self.peak = max(self.peak, self.held)
        self._users[place] += 1
        weakref.finalize(user, self._leave, place, size, storage)

    def _leave(self, place: int, size: int, _kept_until_now: torch.UntypedStorage) -> None:
        self._users[place] -= 1
        if not self._users[place]:
            self.held -= size


class Stream:
    """A queue of copies. Those of a side stream happen when somebody waits for them, and not before."""

    def __init__(self, device: object = None) -> None:
        self.device = DEVICE
        self.pending: list[tuple[Tensor, Tensor]] = []

    def send(self, target: Tensor, source: Tensor) -> None:
        """Begin a copy: until it has happened its target holds nothing of use."""
        target.view(-1).view(torch.uint8).fill_(POISON)
        self.pending.append((target, source))

    def catch_up(self, until: int | None = None) -> None:
        done, self.pending[:until] = self.pending[:until], []
        for target, source in done:
            target.copy_(source)

    synchronize = catch_up

    def wait_event(self, event: Event) -> None:
        event.synchronize()

    def wait_stream(self, other: Stream) -> None:
        other.catch_up()


class Event:
    """A place in a stream's queue."""

    def __init__(self) -> None:
        self._copies: list[tuple[Tensor, Tensor]] = []
        self._stream: Stream | None = None

    def record(self, stream: Stream) -> None:
        self._stream, self._copies = stream, list(stream.pending)

    def synchronize(self) -> None:
        for copy in self._copies:
            waiting = self._stream.pending
            with suppress(ValueError):
                self._stream.catch_up(next(i for i, other in enumerate(waiting) if other is copy) + 1)


class Graph:
    """A CUDA graph: what ran on the card meanwhile, to run again on the same places in memory."""

    def __init__(self) -> None:
        self._work: list[tuple[Callable, Arguments, dict[str, Any], list[Tensor]]] = []

    def pool(self) -> tuple[int, int]:
        return (0, id(self))

    def note(self, func: Callable, args: Arguments, kwargs: dict[str, Any], made: Any) -> None:
        self._work.append((func, args, kwargs, [x for x in tree_leaves(made) if isinstance(x, Tensor)]))

    def replay(self) -> None:
        for func, args, kwargs, places in self._work:
            made = [x for x in tree_leaves(func(*args, **kwargs)) if isinstance(x, Tensor)]
            for place, again in zip(places, made, strict=True):
                if place is not again:
                    place.copy_(again)
        STATE.replays += 1


class State:
    """What there is of the card; one for the process, as of a card."""

    def __init__(self, total: int = 8 << 30) -> None:
        self.memory = Memory(total)
        self.main = self.current = Stream()
        self.waits: Counter[tuple[str, str]] = Counter()
        self.graph: Graph | None = None
        self.replays = 0

    def note_wait(self, kind: str) -> None:
        """Remember that the host waited, and which line of the package made it."""
        if self.graph is not None:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        frames = reversed(traceback.extract_stack())
        mine = next((frame for frame in frames if PACKAGE in Path(frame.filename).parents), None)
        self.waits[kind, f"{Path(mine.filename).name}: {mine.name}" if mine else "a test"] += 1


STATE = State()


class OnCard(Tensor):
    """A tensor of the card; ``inner`` is where its numbers are."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnCard:
        with torch.inference_mode(False):
            made = Tensor._make_wrapper_subclass(
                cls,
                inner.size(),
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                device=DEVICE,
            )
        made.inner = inner
        STATE.memory.take(made, inner.untyped_storage())
        return made

    def __repr__(self, **_: object) -> str:
        return f"OnCard({self.inner!r})"

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: Arguments = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:  # torch would ask the device for a kernel of its own
            return _on_inner(func, args, kwargs)
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func is torch._has_compatible_shallow_copy_type:
            return False  # a module that moves gets new parameters
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Arguments = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class CardMode(TorchDispatchMode):
    """Within it, what is made on a CUDA device is made on the pretended card. Of one thread."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Arguments = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@cache
def _names_a_device(func: Any) -> bool:
    return any("Device" in str(argument.type) for argument in func._schema.arguments)


def _run(func: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    if _names_a_device(func) and func.has_kernel_for_dispatch_key(composite):
        with CardMode():
            return func.decompose(*args, **kwargs)
    name = func.overloadpacket.__name__
    device = kwargs.get("device")
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
        _note_sending(name, args, kwargs, torch.device(device).type)
        return _on_inner(func, args, kwargs, torch.device(device).type == "cuda", mixes=True)
    if _any_on_card(args) and (name in _LOOKS or _is_masked(name, args)):
        STATE.note_wait("look")
    if name == "copy_":
        return _copy(func, *args, **kwargs)
    return _on_inner(func, args, kwargs, mixes=name in _MIXING)


def _note_sending(name: str, args: Arguments, kwargs: dict[str, Any], kind: str) -> None:
    """Only what goes from one side to the other makes the host wait."""
    if name == "_to_copy" and (args[0].device.type, kind) in (("cuda", "cpu"), ("cpu", "cuda")):
        STATE.note_wait("fetch" if kind == "cpu" else "send")


def _copy(func: Any, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    crosses = isinstance(target, OnCard) != isinstance(source, OnCard)
    if crosses and non_blocking and STATE.current is not STATE.main:
        STATE.current.send(target.inner, source)
        return target
    if crosses:
        STATE.note_wait("send" if isinstance(target, OnCard) else "fetch")
    return _on_inner(func, (target, source), {}, isinstance(target, OnCard), mixes=True)


def _is_masked(name: str, args: Arguments) -> bool:
    """A mask as an index: how many it picks is to be counted first."""
    return name == "index" and any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])


def _any_on_card(arguments: Any) -> bool:
    return any(isinstance(leaf, OnCard) for leaf in tree_leaves(arguments))


def _on_inner(
    func: Callable, args: Arguments, kwargs: dict[str, Any], on_card: bool | None = None, mixes: bool = False
) -> Any:
    """Do it in RAM; ``on_card`` says where the results are, None where the arguments are."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    wrappers = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, OnCard)}
    if wrappers and not mixes:
        strangers = [tensor for tensor in tensors if not isinstance(tensor, OnCard) and tensor.dim()]
        if strangers:
            raise MixedDevices(f"{func}: tensors of the card and of RAM, {[t.shape for t in strangers]}")
    args, kwargs = tree_map(lambda leaf: leaf.inner if isinstance(leaf, OnCard) else leaf, (args, kwargs))
    made = func(*args, **kwargs)
    on_card = bool(wrappers) if on_card is None else on_card
    if STATE.graph is not None and on_card:
        STATE.graph.note(func, args, kwargs, made)

    def dressed(leaf: Any) -> Any:
        if id(leaf) in wrappers:
            assert wrappers[id(leaf)].shape == leaf.shape, f"{func} changes the shape of what it is given"
            return wrappers[id(leaf)]
        return OnCard(leaf) if on_card and isinstance(leaf, Tensor) else leaf

    return tree_map(dressed, made)

"""Puts a module's weights on a device and takes them back, whole or with blocks that come and go.

It works on any module, through its parameters and buffers alone. Weights wait in RAM, often as pages of
their file; nothing is ever copied back, since weights do not change. What is streamed has no place of its own
on the device: two slots take turns, and while a block runs from one, the next is copied into the other.
Hooks on the blocks see to that; the order is that of the last pass, so that any model's will do. The bytes
are the same as on a device that holds all of them, hence the results are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from wan_core.manager.movers import Mover, Ticket
from wan_core.manager.planner import SLOTS

ALIGNMENT = 256
"""Bytes; every tensor in a slot begins at a multiple, as the allocator's own do."""

DtypeOf = Callable[[str], torch.dtype | None]
"""The name of a parameter -> the dtype that it has on the device; None is its own, as is that of a buffer."""


@dataclass(eq=False)
class _Spot:
    """A place in a module where a tensor is.

    ``home`` is what the module holds there while it is in RAM; ``dtype`` is that on the device.
    """

    owner: nn.Module
    name: str
    home: Tensor
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """On the device."""
        return self.home.numel() * self.dtype.itemsize

    @property
    def _table(self) -> dict[str, Tensor]:
        return self.owner._parameters if isinstance(self.home, nn.Parameter) else self.owner._buffers

    def get(self) -> Tensor:
        return self._table[self.name]

    def set(self, tensor: Tensor) -> None:
        self._table[self.name] = tensor

    def dressed(self, tensor: Tensor) -> Tensor:
        """A tensor as the module holds it."""
        return nn.Parameter(tensor, requires_grad=False) if isinstance(self.home, nn.Parameter) else tensor


@dataclass(eq=False)
class _Unit:
    """What comes and goes together: a block, or a piece of one, side by side in a slot.

    ``packed`` is where it waits, if that is RAM of its own in the slot's layout; else it is packed each
    time, from where its tensors are: pages of a file mostly. ``views`` are its tensors in either slot.
    """

    module: nn.Module
    spots: list[_Spot]
    offsets: list[int] = field(default_factory=list)
    nbytes: int = 0
    packed: Tensor | None = None
    views: list[list[Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for spot in self.spots:
            self.offsets.append(self.nbytes)
            self.nbytes += -(-spot.nbytes // ALIGNMENT) * ALIGNMENT

    def inside(self, memory: Tensor) -> list[Tensor]:
        """The unit's tensors as views of flat memory."""
        return [
            spot.dressed(memory[start : start + spot.nbytes].view(spot.dtype).view(spot.home.shape))
            for spot, start in zip(self.spots, self.offsets, strict=True)
        ]

    def pack(self, memory: Tensor) -> None:
        """Write the unit's tensors into flat RAM, cast to what they are on the device."""
        for spot, view in zip(self.spots, self.inside(memory), strict=True):
            view.copy_(spot.home)

    def move_into(self, memory: Tensor) -> None:
        """From now on the unit waits in ``memory``, where ``pack`` has written it."""
        self.packed = memory
        for spot, view in zip(self.spots, self.inside(memory), strict=True):
            spot.home = view
            spot.set(view)

    def is_inside(self, memory: Tensor) -> bool:
        """Whether the unit's tensors are those of ``memory`` already."""
        return memory.nbytes == self.nbytes and all(
            spot.home.data_ptr() == memory.data_ptr() + start and spot.home.dtype == spot.dtype
            for spot, start in zip(self.spots, self.offsets, strict=True)
        )

    def attach(self, slot: int) -> None:
        for spot, tensor in zip(self.spots, self.views[slot], strict=True):
            spot.set(tensor)

    def detach(self) -> None:
        for spot in self.spots:
            spot.set(spot.home)


def block_lists(module: nn.Module) -> list[list[nn.Module]]:
    """The lists of blocks that a module is made of; lists inside of blocks are not among them."""
    found: list[list[nn.Module]] = []
    for child in module.children():
        found += [list(child)] if isinstance(child, nn.ModuleList) else block_lists(child)
    return [blocks for blocks in found if blocks]


def all_blocks(module: nn.Module) -> list[nn.Module]:
    """The blocks of all lists, in order."""
    return [block for blocks in block_lists(module) for block in blocks]


def pieces(block: nn.Module) -> list[nn.Module]:
    """What a block calls one after the other: its children, those of lists in their place."""
    found: list[nn.Module] = []
    for child in block.children():
        found += list(child) if isinstance(child, nn.ModuleList) else [child]
    return [piece for piece in found if any(True for _ in _tensors(piece))]


class Residency:
    """Where one module's weights are.

    Args:
        module: in RAM, for inference.
        mover: copies to the device.
        dtype_of: where tensors are cast on the way; None casts none.
    """

    def __init__(self, module: nn.Module, mover: Mover, dtype_of: DtypeOf | None = None) -> None:
        self._module, self._mover = module, mover
        self._dtype_of = dtype_of or (lambda name: None)
        self._resident: dict[int, tuple[list[_Spot], Tensor]] = {}
        self._stream: _Stream | None = None
        self._packed: dict[int, Tensor] = {}  # id of a unit's module -> the RAM that it was packed into
        self._placed: tuple[tuple[int, ...], bool] | None = None

    @property
    def on_device(self) -> bool:
        return self._placed is not None

    @property
    def device_bytes(self) -> int:
        """What it has allocated on the device, exactly."""
        resident = sum(tensor.nbytes for _, tensor in self._resident.values())
        return resident + (self._stream.device_bytes if self._stream else 0)

    @property
    def pinned_bytes(self) -> int:
        """RAM that is locked in its place."""
        return self._stream.pinned_bytes if self._stream else 0

    def bytes_for(self, streamed: Sequence[int] = (), in_pieces: bool = False) -> int:
        """What ``device_bytes`` would be with these blocks streamed."""
        if self._placed == (tuple(streamed), in_pieces):
            return self.device_bytes
        units, spots = self._divide(streamed, in_pieces)
        resident = {id(spot.home): spot.nbytes for spot in spots}
        return sum(resident.values()) + SLOTS * max((unit.nbytes for unit in units), default=0)

    def place(self, streamed: Sequence[int] = (), in_pieces: bool = False, pin_limit: int = 0) -> None:
        """Copy the weights to the device, all or none; where they are as asked already, nothing happens.

        Args:
            streamed: numbers of the blocks that come and go, counted over all lists of blocks.
            in_pieces: whether a block comes in pieces; what is in no piece stays.
            pin_limit: bytes of RAM that may be locked for streamed blocks, which are then kept there.
        """
        wanted = (tuple(streamed), in_pieces)
        if self._placed == wanted:
            return
        self.withdraw()
        self._placed = wanted
        try:
            with torch.inference_mode(False), torch.no_grad():
                self._place(streamed, in_pieces, pin_limit)
        except RuntimeError:  # out of memory, halfway
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Give the device's memory back. RAM keeps the weights."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        for spots, tensor in self._resident.values():
            for spot in spots:
                if spot.get() is tensor:
                    spot.set(spot.home)
        self._resident.clear()
        if self._placed is not None:
            self._call_home()
        self._placed = None

    def _call_home(self) -> None:
        """Whatever came to the device by itself since, such as what was put in place of a weight."""
        device = self._mover.device.type
        for owner, name, tensor in _tensors(self._module):
            if tensor.device.type == device != "cpu":
                spot = _Spot(owner, name, tensor, tensor.dtype)
                spot.set(spot.dressed(tensor.detach().cpu()))

    def _place(self, streamed: Sequence[int], in_pieces: bool, pin_limit: int) -> None:
        units, spots = self._divide(streamed, in_pieces)
        for spot in spots:
            key = id(spot.home)  # one tensor may have two names
            if key not in self._resident:
                self._resident[key] = ([], spot.dressed(self._mover.put(spot.home.detach(), spot.dtype)))
            same, tensor = self._resident[key]
            same.append(spot)
            spot.set(tensor)
        if units:
            self._stream = _Stream(units, self._mover, pin_limit, self._packed)

    def _divide(self, streamed: Sequence[int], in_pieces: bool) -> tuple[list[_Unit], list[_Spot]]:
        """What comes and goes, and what stays."""
        spots = self._spots()
        blocks = all_blocks(self._module) if streamed else []
        chosen = [blocks[number] for number in streamed]
        if in_pieces:
            chosen = [piece for block in chosen for piece in pieces(block)]
        units = [_Unit(module, [spots.pop(key) for key in _keys(module)]) for module in chosen]
        return units, list(spots.values())

    def _spots(self) -> dict[tuple[int, str], _Spot]:
        names = {id(module): name for name, module in self._module.named_modules()}
        found = {}
        for owner, name, tensor in _tensors(self._module):
            wanted = self._dtype_of(f"{names[id(owner)]}.{name}".lstrip("."))
            is_cast = wanted is not None and isinstance(tensor, nn.Parameter)  # packed weights are buffers
            dtype = wanted if is_cast else tensor.dtype
            found[(id(owner), name)] = _Spot(owner, name, tensor, dtype)
        return found


class _Stream:
    """The units of a module that come and go, and the two slots that they come to."""

    def __init__(self, units: list[_Unit], mover: Mover, pin_limit: int, known: dict[int, Tensor]) -> None:
        self._units, self._mover = units, mover
        size = max(unit.nbytes for unit in units)
        self._slots = [mover.allocate(size) for _ in range(SLOTS)]
        self._in_slot: list[_Unit | None] = [None] * SLOTS
        self._tickets: list[Ticket] = [None] * SLOTS
        self._pinned: list[Tensor] = []
        self._current: _Unit | None = None
        self._after = {id(unit): units[(i + 1) % len(units)] for i, unit in enumerate(units)}
        self._hooks = []
        for unit in units:
            unit.views = [unit.inside(slot) for slot in self._slots]
            self._keep_in_ram(unit, pin_limit, known)
            for module in unit.module.modules():
                self._hooks.append(module.register_forward_pre_hook(partial(self._enter, unit)))
        self._staging: list[Tensor] = []
        if any(unit.packed is None for unit in units):
            self._staging = [torch.empty(size, dtype=torch.uint8) for _ in range(SLOTS)]
            self._pinned += [memory for memory in self._staging if mover.pin(memory)]
        self._fetch(units[0], 0)

    @property
    def device_bytes(self) -> int:
        return sum(slot.nbytes for slot in self._slots)

    @property
    def pinned_bytes(self) -> int:
        return sum(memory.nbytes for memory in self._pinned)

    def close(self) -> None:
        """Give slots and pinned pages back; what was pinned stays as ordinary RAM."""
        for hook in self._hooks:
            hook.remove()
        self._mover.drain()
        for unit in self._units:
            unit.detach()
            unit.views.clear()
        for memory in self._pinned:
            self._mover.unpin(memory)
        self._slots, self._staging, self._pinned = [], [], []
        self._in_slot = [None] * SLOTS

    def _keep_in_ram(self, unit: _Unit, pin_limit: int, known: dict[int, Tensor]) -> None:
        """Lock a unit in RAM as long as the limit allows, packed; its tensors are then part of that."""
        if self.pinned_bytes + unit.nbytes > pin_limit:
            return
        packed = known.get(id(unit.module))
        is_new = packed is None or not unit.is_inside(packed)
        if is_new:
            packed = torch.empty(unit.nbytes, dtype=torch.uint8)
        if not self._mover.pin(packed):
            return
        self._pinned.append(packed)
        if is_new:
            unit.pack(packed)
        unit.move_into(packed)
        known[id(unit.module)] = packed

    def _enter(self, unit: _Unit, *_: object) -> None:
        """Before any part of a unit runs: it is on the device, and the next is on its way."""
        if unit is self._current:
            return
        if self._current is not None:
            self._after[id(self._current)] = unit
        if unit not in self._in_slot:
            self._fetch(unit, self._free_slot())
        slot = self._in_slot.index(unit)
        self._mover.wait(self._tickets[slot])
        unit.attach(slot)
        self._current = unit
        following = self._after[id(unit)]
        if following not in self._in_slot:
            self._fetch(following, self._free_slot())

    def _free_slot(self) -> int:
        """A slot that the running unit is not in."""
        return next(
            number for number, unit in enumerate(self._in_slot) if not unit or unit is not self._current
        )

    def _fetch(self, unit: _Unit, slot: int) -> None:
        before = self._in_slot[slot]
        if before is not None:
            before.detach()
        source = unit.packed
        if source is None:
            if before is not None:
                self._mover.settle(self._tickets[slot])
            source = self._staging[slot][: unit.nbytes]
            unit.pack(source)
        self._in_slot[slot] = unit
        self._tickets[slot] = self._mover.send(source, self._slots[slot][: unit.nbytes])


def _tensors(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """(owner, name, tensor) of every parameter and buffer of a module and all below, each place once."""
    for owner in module.modules():
        for table in (owner._parameters, owner._buffers):
            yield from ((owner, name, tensor) for name, tensor in list(table.items()) if tensor is not None)


def _keys(module: nn.Module) -> list[tuple[int, str]]:
    return [(id(owner), name) for owner, name, _ in _tensors(module)]

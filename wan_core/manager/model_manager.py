"""Holds the parts of models, lends them to stages, and swaps them when another needs the room."""

from __future__ import annotations

import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from torch import nn

from wan_core.catalog import ModelSpec, Role, WeightFiles
from wan_core.lora.fitting import Lora
from wan_core.lora.merging import Merge
from wan_core.manager.devices import (
    choose_device,
    choose_dtypes,
    choose_schemes,
    device_facts,
    limit_memory,
    measure_budget,
    release_cached,
    release_host,
)
from wan_core.manager.keeping import DEFAULT, Keeping, check, told_dtypes, told_schemes
from wan_core.manager.loading import cast_bytes
from wan_core.manager.lora_cards import lora_bytes
from wan_core.manager.lora_files import open_lora
from wan_core.manager.movers import Mover, make_mover
from wan_core.manager.part_kinds import PART_KINDS
from wan_core.manager.planner import Budget, pinnable_bytes, plan_memory, spread, usable_bytes
from wan_core.manager.residency import Residency, all_blocks
from wan_core.manager.shards import expand
from wan_core.manager.tiny_decoder import TinyDecoders
from wan_core.manager.weights import Part, WeightStore
from wan_core.models.tiny_vae.model import TinyDecoder
from wan_core.quantization.fp16_accumulation import allow_fp16_accumulation
from wan_core.schema import Emit, GenerationRequest, OutOfMemory, ProgressEvent, Settings, Stage
from wan_core.schema.lora import LoraUse
from wan_core.schema.plan import GIB, MemoryPlan
from wan_core.schema.schemes import SCHEMES
from wan_core.schema.settings import Profile

_log = logging.getLogger(__name__)

Key = tuple[Role, Path, tuple[str, ...], str]
"""The files, and what was merged into them, are the identity: models that share a text encoder share the
loaded one."""


@dataclass
class _Component:
    """A loaded part; ``bytes`` are those in RAM, ``model`` is the id of the one that it was last lent for."""

    role: Role
    module: nn.Module
    bytes: int
    residency: Residency | None
    model: str = ""
    borrowers: int = 0

    @property
    def on_device(self) -> bool:
        return self.residency is not None and self.residency.on_device

    @property
    def device_bytes(self) -> int:
        return self.residency.device_bytes if self.residency else 0

    def withdraw(self) -> None:
        """Give the device's memory back."""
        if self.residency:
            self.residency.withdraw()


class ModelManager:
    """Loads parts when they are first needed, places them as planned, and keeps them while there is room.

    On a GPU a part goes where the plan of the job says (``plan``). Whatever the plan, idle parts leave the
    device when a stage needs their room, the longest unused first; where RAM is short they are dropped, and
    read again from disk when needed. A borrowed part never goes.

    Args:
        settings: device, precision, memory and folders.
        store: where files come from.
        budget: what there is; None asks the machine each time.
        mover: copies to the device; None is the device's own.
        keeping: of single parts, what goes before settings and plan.

    Raises:
        InvalidRequest: a part cannot be kept so.
    """

    def __init__(
        self,
        settings: Settings,
        store: WeightStore | None = None,
        budget: Budget | None = None,
        mover: Mover | None = None,
        keeping: Mapping[Role, Keeping] | None = None,
    ) -> None:
        self._keeping = keeping or {}
        for role, kept in self._keeping.items():
            check(role, kept)
        self.device = choose_device(settings.device)
        limit_memory(self.device, settings.vram_limit_gib)
        self._mover = mover or (None if self.device.type == "cpu" else make_mover(self.device))
        self._settings = settings
        self._dtypes = choose_dtypes(device_facts(self.device), settings.precision)
        self._dtypes |= told_dtypes(self._keeping)
        self._schemes = choose_schemes(settings) | told_schemes(self._keeping)
        allow_fp16_accumulation(device_facts(self.device), settings.fp16_accumulation == "on")
        self.store = store or WeightStore(settings)
        self._fixed_budget = budget
        self._tiny = TinyDecoders()
        self._plans: dict[str, MemoryPlan] = {}  # of the last job of each model
        self._components: OrderedDict[Key, _Component] = OrderedDict()  # the longest unused first
        self._lock = threading.RLock()

    @contextmanager
    def use(
        self,
        spec: ModelSpec,
        role: Role,
        emit: Emit,
        working: int = 0,
        merge: Merge | None = None,
        on_cpu: bool = False,
    ) -> Iterator[nn.Module]:
        """Lend a part for the length of a block: loaded, in evaluation mode, on its device.

        It goes where the plan says. Idle parts leave the device if the plan does not keep them there, and
        also if the weights and the ``working`` bytes of the block itself would not fit beside them;
        ``on_cpu`` lends the part itself off the device.
        With ``merge`` it is lent with LoRAs in its weights; without, or with others, it is read again.

        Raises:
            WeightsError: its files are missing, damaged or of another model.
            OutOfMemory: it does not fit on the device even alone.
        """
        kept = self._keeping.get(role, DEFAULT)
        with self._lock:
            component = self._ready(spec, role, emit, merge)
            component.model = spec.id
            if on_cpu or kept.device == "cpu":
                component.withdraw()
                release_cached(self.device)
            elif self._mover is not None:
                self._place(spec, component, working)
            component.borrowers += 1
        try:
            yield component.module
        finally:
            component.borrowers -= 1
            if kept.offload == "disk":
                self._forget(component)

    def plan(self, spec: ModelSpec, request: GenerationRequest, profile: Profile | None = None) -> MemoryPlan:
        """How a request runs with what memory there is now; parts of its model are placed so from here on.

        ``profile`` is another one than that of the settings.
        """
        update = {} if profile is None else {"profile": profile}
        settings, found = self._settings.model_copy(update=update), self.store.as_found(spec)
        budget = self._budget()
        budget = replace(budget, vram_free=max(budget.vram_free - lora_bytes(settings, request), 0))
        made = plan_memory(found, request, budget, settings)
        self._plans[spec.id] = made
        _log.info("%s", made.reason)
        return made

    def folder(self, spec: ModelSpec, part: Part, emit: Emit) -> Path:
        """The folder that a part's files are relative to, or the tokenizer's own folder.

        What is missing of the model is downloaded first.
        """
        spec = self.store.as_found(spec)
        if self.store.locate(spec, part) is None:
            self.store.fetch(spec, emit)
        root = self.store.require(spec, part)
        return (root / spec.tokenizer.files[0]).parent if part == "tokenizer" else root

    def lora(self, use: LoraUse) -> Lora:
        """A LoRA of the studio's folders, opened.

        Raises:
            InvalidRequest: there is none of this name.
            WeightsError: its file is damaged, or not to be trusted.
        """
        return open_lora(self._settings, use)

    def can_merge(self, spec: ModelSpec) -> bool:
        """Whether there is room for changed weights: not where they stay in their files, for want of RAM."""
        return not self._stays_in_file(spec, Role.TRANSFORMER)

    def helper(self, files: WeightFiles, emit: Emit) -> Path:
        """The folder of a small model beside the video models, downloaded if need be."""
        return self.store.helper(files, emit)

    def preview_decoder(self) -> TinyDecoder | None:
        """The tiny decoder on the device, where its file is in one of the model folders."""
        return self._tiny.lend(self.store.library, self.device)

    def dtype(self, role: Role) -> torch.dtype | None:
        """The precision that a part is lent in; None is its file's."""
        return self._dtypes[role]

    def loaded(self) -> dict[Role, int]:
        """The parts in memory -> their bytes; answers at once, even while another thread loads."""
        sizes: dict[Role, int] = {}
        for component in list(self._components.values()):
            sizes[component.role] = sizes.get(component.role, 0) + component.bytes
        return sizes

    def withdraw(self) -> bool:
        """Take every part that is not borrowed off the device; RAM keeps them. Whether there was any."""
        with self._lock:
            placed = [part for key in self._idle() if (part := self._components[key]).on_device]
            for component in placed:
                component.withdraw()
            gc.collect()
            release_cached(self.device)
        return bool(placed)

    def unload(self) -> bool:
        """Drop every part that is not borrowed, and give its memory back. Whether there was any."""
        with self._lock:
            idle = self._idle()
            for key in idle:
                self._drop(key)
            gc.collect()
            release_cached(self.device)
            release_host()
        return bool(idle)

    def _ready(self, spec: ModelSpec, role: Role, emit: Emit, merge: Merge | None) -> _Component:
        spec = self.store.as_found(spec)
        files = spec.weights[role].files
        key = (role, self.folder(spec, role, emit), files, merge.key if merge else "")
        if key not in self._components:
            for other in [other for other in self._idle() if other[:3] == key[:3]]:
                self._drop(other)
            component = self._load(spec, key, emit)
            if merge:
                merge.apply(component.module)
            self._components[key] = component
        self._components.move_to_end(key)
        return self._components[key]

    def _load(self, spec: ModelSpec, key: Key, emit: Emit) -> _Component:
        role, folder, files, _ = key
        message = f"{spec.title}: {role.replace('_', ' ')}"

        def report(done: int, total: int) -> None:
            emit(ProgressEvent(stage=Stage.LOAD, step=done, total=total, message=message, part=role))

        report(0, sum((folder / name).stat().st_size for name in expand(folder, files)))
        kind, dtype, cast_later = PART_KINDS[role], self._dtypes[role], self._stays_in_file(spec, role)
        chosen = self._schemes.get(role)
        packs = chosen is not None and not (cast_later and SCHEMES[chosen].plain)
        scheme = {"scheme": chosen} if packs else {}
        self._make_host_room(
            0 if cast_later else cast_bytes(folder, files, dtype, kind.keeps_fp32, kind.used, **scheme)
        )
        loaded_as = None if cast_later else dtype
        module = kind.load(folder, files, loaded_as, kind.sizes(spec), report, **scheme)
        size = sum(tensor.nbytes for tensor in chain(module.parameters(), module.buffers()))
        dtype_of = (lambda name: None if kind.keeps_fp32(name) else dtype) if cast_later else None
        residency = Residency(module, self._mover, dtype_of) if self._mover else None
        _log.info("Loaded %s of %s, %.2f GiB", role, spec.id, size / GIB)
        return _Component(role, module, size, residency)

    def _plan_of(self, spec: ModelSpec) -> MemoryPlan:
        """That of the last job, or of the model's defaults."""
        if spec.id not in self._plans:
            self.plan(spec, GenerationRequest(model=spec.id, task=spec.tasks[0]))
        return self._plans[spec.id]

    def _stays_in_file(self, spec: ModelSpec, role: Role) -> bool:
        """Whether a part is cast on its way to the device, as RAM has no room for a copy."""
        if self._mover is None or role is not Role.TRANSFORMER:
            return False
        return self._plan_of(spec).from_disk

    def _place(self, spec: ModelSpec, component: _Component, working: int) -> None:
        """Put a part where the plan says, and clear the room that it and its work need."""
        plan = self._plan_of(spec)
        placement = plan.placements[component.role]
        if placement == "cpu":
            component.withdraw()
            return
        how = _streaming(plan, component)
        budget = self._budget()
        usable = usable_bytes(budget, self._settings)
        room = usable - sum(other.device_bytes for other in self._lent() if other is not component)
        size = component.residency.bytes_for(*how)
        if size > room:
            if component.role is Role.TEXT_ENCODER:
                _log.info("The text encoder of %s runs on the CPU: there is no room on the device", spec.id)
                component.withdraw()
                return
            part = component.role.replace("_", " ")
            raise OutOfMemory(
                f"The {part} of {spec.title} needs {size / GIB:.1f} GiB and the device has room for "
                f"{room / GIB:.1f} GiB; choose a smaller model or precision fp8_scaled."
            )
        staying = [other for other in self._idle_on_device(component) if self._stays(spec, other)]
        for other in self._idle_on_device(component):
            if other not in staying:
                other.withdraw()
        for other in staying:
            if size + sum(o.device_bytes for o in self._placed() if o is not component) + working <= usable:
                break
            other.withdraw()
        release_cached(self.device)
        limit = 0 if plan.from_disk or component.role is not Role.TRANSFORMER else pinnable_bytes(budget)
        component.residency.place(*how, limit)

    def _stays(self, spec: ModelSpec, component: _Component) -> bool:
        """Whether the plan keeps an idle part on the device; it knows the parts of its own model only."""
        placements = self._plan_of(spec).placements
        return component.model == spec.id and placements.get(component.role) == "resident"

    def _make_host_room(self, size: int) -> None:
        limit = self._budget().ram_free
        for key in self._idle():
            if sum(component.bytes for component in self._components.values()) + size <= limit:
                return
            self._drop(key)

    def _idle(self) -> list[Key]:
        return [key for key, component in self._components.items() if not component.borrowers]

    def _placed(self) -> list[_Component]:
        return [component for component in self._components.values() if component.on_device]

    def _lent(self) -> list[_Component]:
        return [component for component in self._placed() if component.borrowers]

    def _idle_on_device(self, besides: _Component) -> list[_Component]:
        """The longest unused first."""
        return [part for part in self._placed() if not part.borrowers and part is not besides]

    def _forget(self, component: _Component) -> None:
        """Drop a part as soon as nobody has borrowed it."""
        with self._lock:
            for key in self._idle():
                if self._components[key] is component:
                    self._drop(key)
            release_cached(self.device)

    def _drop(self, key: Key) -> None:
        component = self._components.pop(key)
        component.withdraw()
        _log.info("Dropped %s", component.role)

    def _budget(self) -> Budget:
        return self._fixed_budget or measure_budget(self.device, self._settings.home)


def _streaming(plan: MemoryPlan, component: _Component) -> tuple[tuple[int, ...], bool]:
    """The blocks that come and go, and whether in pieces."""
    if plan.placements[component.role] != "streamed":
        return (), False
    blocks = len(all_blocks(component.module))
    if component.role is Role.TRANSFORMER:
        return spread(min(plan.streamed_blocks, blocks), blocks), plan.in_pieces
    return tuple(range(blocks)), False

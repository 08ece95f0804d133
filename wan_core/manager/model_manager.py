"""Holds the parts of models, lends them to stages, and swaps them when another needs the room."""

from __future__ import annotations

import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from wan_core.catalog import ModelSpec, Role, WeightFiles
from wan_core.lora.fitting import Lora
from wan_core.lora.merging import Merge
from wan_core.manager.devices import (
    Budget,
    choose_device,
    choose_dtypes,
    choose_schemes,
    device_facts,
    plan_budget,
    release_cached,
)
from wan_core.manager.loading import (
    cast_bytes,
    load_image_encoder,
    load_motion_controller,
    load_text_encoder,
    load_transformer,
    load_vae,
)
from wan_core.manager.lora_files import open_lora
from wan_core.manager.recognise import Shapes
from wan_core.manager.shards import expand
from wan_core.manager.weights import Part, WeightStore
from wan_core.models.clip.checkpoint import select_used
from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController
from wan_core.quantization.fp16_accumulation import allow_fp16_accumulation
from wan_core.schema import Emit, OutOfMemory, ProgressEvent, Settings, Stage
from wan_core.schema.lora import LoraUse

_log = logging.getLogger(__name__)

_LOADERS: dict[Role, Callable[..., nn.Module]] = {
    Role.TRANSFORMER: load_transformer,
    Role.TEXT_ENCODER: load_text_encoder,
    Role.VAE: load_vae,
    Role.IMAGE_ENCODER: load_image_encoder,
    Role.MOTION_CONTROLLER: load_motion_controller,
}

_SIZES: dict[Role, Callable[[ModelSpec], object]] = {
    Role.TRANSFORMER: lambda spec: spec.dit,
    Role.TEXT_ENCODER: lambda spec: spec.text_encoder,
    Role.VAE: lambda spec: spec.vae,
    Role.IMAGE_ENCODER: lambda spec: spec.image_encoder,
    Role.MOTION_CONTROLLER: lambda spec: MotionConfig(spec.dit.dim),
}

_GIB = 2**30

# Which tensors stay in float32, whatever the precision, by their names; of other parts none does
_KEEPS_FP32: dict[Role, Callable[[str], bool]] = {
    Role.TRANSFORMER: WanDiT.keep_in_fp32,
    Role.MOTION_CONTROLLER: MotionController.keep_in_fp32,
}

# Which tensors of the files are loaded; of other parts all are
_USED: dict[Role, Callable[[Shapes], Shapes]] = {Role.IMAGE_ENCODER: select_used}

Key = tuple[Role, Path, tuple[str, ...], str]
"""The files, and what was merged into them, are the identity: models that share a text encoder share the
loaded one."""


@dataclass
class _Component:
    """A loaded part. ``host`` keeps its tensors in RAM while copies of them are on the device."""

    role: Role
    module: nn.Module
    bytes: int
    borrowers: int = 0
    host: dict[str, Tensor] = field(default_factory=dict)

    @property
    def on_device(self) -> bool:
        return bool(self.host)

    def place(self, device: torch.device) -> None:
        """Copy the tensors to the device; all of them or none."""
        self.host = dict(self.module.state_dict())
        try:
            self.module.to(device)
        except RuntimeError:  # out of memory, halfway
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Drop the device's copies. Nothing is copied back: weights do not change."""
        self.module.load_state_dict(self.host, assign=True)
        self.host = {}


class ModelManager:
    """Loads parts when they are first needed and keeps them while there is room.

    On a GPU a part is swapped between RAM and the device; where RAM is short it is dropped, and read
    again from disk when needed. The longest unused part goes first; a borrowed one never goes. A text
    encoder that does not fit on the GPU runs on the CPU.

    Args:
        settings: device, precision and folders.
        store: where files come from.
        budget: bytes that weights may take; None asks the machine each time.
    """

    def __init__(
        self, settings: Settings, store: WeightStore | None = None, budget: Budget | None = None
    ) -> None:
        self.device = choose_device(settings.device)
        self._settings = settings
        self._dtypes = choose_dtypes(self.device, settings.precision)
        self._schemes = choose_schemes(settings)
        allow_fp16_accumulation(device_facts(self.device), settings.fp16_accumulation == "on")
        self._store = store or WeightStore(settings)
        self._fixed_budget = budget
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

        Idle parts leave the device until the weights and the ``working`` bytes of the block itself fit;
        ``on_cpu`` lends the part itself off the device.
        With ``merge`` it is lent with LoRAs in its weights; without, or with others, it is read again.

        Raises:
            WeightsError: its files are missing, damaged or of another model.
            OutOfMemory: it does not fit on the device even alone.
        """
        with self._lock:
            component = self._ready(spec, role, emit, merge)
            if on_cpu and component.on_device:
                component.withdraw()
                release_cached(self.device)
            elif not on_cpu and self.device.type != "cpu":
                self._place(spec, component, working)
            component.borrowers += 1
        try:
            yield component.module
        finally:
            component.borrowers -= 1

    def folder(self, spec: ModelSpec, part: Part, emit: Emit) -> Path:
        """The folder that a part's files are relative to, or the tokenizer's own folder.

        What is missing of the model is downloaded first.
        """
        if self._store.locate(spec, part) is None:
            self._store.fetch(spec, emit)
        root = self._store.require(spec, part)
        return (root / spec.tokenizer.files[0]).parent if part == "tokenizer" else root

    def lora(self, use: LoraUse) -> Lora:
        """A LoRA of the studio's folders, opened.

        Raises:
            InvalidRequest: there is none of this name.
            WeightsError: its file is damaged, or not to be trusted.
        """
        return open_lora(self._settings, use)

    def helper(self, files: WeightFiles, emit: Emit) -> Path:
        """The folder of a small model beside the video models, downloaded if need be."""
        return self._store.helper(files, emit)

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
        return bool(idle)

    def _ready(self, spec: ModelSpec, role: Role, emit: Emit, merge: Merge | None) -> _Component:
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
        keeps_fp32 = _KEEPS_FP32.get(role, lambda name: False)
        used = _USED.get(role, dict)
        scheme = {"scheme": self._schemes[role]} if role in self._schemes else {}
        self._make_host_room(cast_bytes(folder, files, self._dtypes[role], keeps_fp32, used, **scheme))
        module = _LOADERS[role](folder, files, self._dtypes[role], _SIZES[role](spec), report, **scheme)
        component = _Component(
            role, module, sum(tensor.nbytes for tensor in chain(module.parameters(), module.buffers()))
        )
        _log.info("Loaded %s of %s, %.2f GiB", role, spec.id, component.bytes / _GIB)
        return component

    def _place(self, spec: ModelSpec, component: _Component, working: int) -> None:
        """Put a part on the device if it is not there, and clear the room that its work needs."""
        budget = self._budget()
        added = 0 if component.on_device else component.bytes
        lent = [other for other in self._components.values() if other.borrowers and other.on_device]
        room = max(budget.largest - sum(other.bytes for other in lent), 0)
        if added > room:
            if component.role is Role.TEXT_ENCODER:
                _log.info("The text encoder of %s runs on the CPU: it is larger than the device", spec.id)
                return
            raise OutOfMemory(
                f"The {component.role} of {spec.title} needs {added / _GIB:.1f} GiB and the device "
                f"has room for {room / _GIB:.1f} GiB; choose a smaller model or precision bf16."
            )
        for key in self._idle():
            other = self._components[key]
            if _fits(self._device_bytes() + added, working, budget):
                break
            if other.on_device and other is not component:
                other.withdraw()
                release_cached(self.device)
        if added:
            component.place(self.device)

    def _make_host_room(self, size: int) -> None:
        limit = self._budget().host
        for key in self._idle():
            if sum(component.bytes for component in self._components.values()) + size <= limit:
                return
            self._drop(key)

    def _idle(self) -> list[Key]:
        return [key for key, component in self._components.items() if not component.borrowers]

    def _drop(self, key: Key) -> None:
        component = self._components.pop(key)
        _log.info("Dropped %s", component.role)

    def _device_bytes(self) -> int:
        return sum(component.bytes for component in self._components.values() if component.on_device)

    def _budget(self) -> Budget:
        return self._fixed_budget or plan_budget(self.device)


def _fits(weights: int, working: int, budget: Budget) -> bool:
    """Whether so many bytes of weights and of work fit on the device together.

    A stage that does not tell its ``working`` bytes has what ``budget.device`` leaves free.
    """
    return weights <= budget.device and weights + working <= budget.largest

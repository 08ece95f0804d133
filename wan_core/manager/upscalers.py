"""A learnt upscaler for the frames of one job: opened before its first step, on the device after decoding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.devices import measure_budget, memory_in_use, release_cached
from wan_core.manager.planner import usable_bytes
from wan_core.media.finishing import enlarged_size, resized
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.schema import (
    Emit,
    GenerationFailed,
    OutOfMemory,
    ProgressEvent,
    Settings,
    Stage,
    WeightsError,
)
from wan_core.schema.output import OutputOptions
from wan_core.upscaling.nets import Net, build_net
from wan_core.upscaling.shelf import check_upscaler
from wan_core.upscaling.tiles import bytes_per_pixel, choose_side, enlarge_frame, smaller

_SHARE_OF_RAM = 0.25
_MOST_ON_CPU = 384 * 384
"""Pixels of a tile on a CPU: larger ones are no faster, and a job stops between two."""

_log = logging.getLogger(__name__)


def open_upscaler(
    options: OutputOptions,
    settings: Settings,
    device: torch.device,
    emit: Emit,
    withdraw: Callable[[], object] = lambda: None,
) -> Upscaler | None:
    """What enlarges frames as the options say; None where Lanczos does.

    Args:
        options: name the upscaler.
        settings: where it is looked for, and how much memory may be used.
        device: where it runs.
        emit: told every tile; what it raises ends the work.
        withdraw: takes idle models off the device.

    Raises:
        InvalidRequest: it is not on this machine, or spandrel is not.
        WeightsError: its file is damaged, not to be trusted, or of no upscaler.
    """
    path = check_upscaler(options, settings)
    if path is None:
        return None
    return Upscaler(options, _open_net(path, options.upscaler), settings, device, (emit, withdraw))


def _open_net(path: Path, name: str) -> Net:
    try:
        return build_net(name, open_checkpoint(path, whole_numbers=True))
    except WeightsError as error:
        raise WeightsError(f"The upscaler {name} cannot be used: {error}") from error


class Upscaler:
    """Enlarges frame by frame; ``notes`` are sentences about what it did otherwise than is usual."""

    def __init__(
        self,
        options: OutputOptions,
        net: Net,
        settings: Settings,
        device: torch.device,
        ways: tuple[Emit, Callable[[], object]],
    ) -> None:
        self.notes: list[str] = []
        self._name, self._factor = options.upscaler, options.upscale
        self._net = self._exact = net
        self._settings, self._device = settings, device
        self._emit, self._withdraw = ways
        self._dtypes = list(net.dtypes) if device.type != "cpu" else [torch.float32]
        self._side: int | None = None
        self._done = self._count = 0

    def __call__(self, frames: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
        """Chunks of frames (T, H, W, 3), ``count`` in all -> one frame at a time, at the size asked for.

        Raises:
            GenerationFailed: while iterating, what comes out is no picture.
            OutOfMemory: while iterating, not even the smallest tile fits.
            WeightsError: while iterating, the net cannot take such a picture.
        """
        self._done, self._count = 0, count
        try:
            for frame in (frame for chunk in frames for frame in chunk):
                if not self._done:
                    self._begin(frame)
                yield self._sized(self._enlarged(frame), *enlarged_size(frame, self._factor))
                self._done += 1
            self._tell()
        finally:
            self._net = self._exact
            release_cached(self._device)

    @staticmethod
    def _sized(made: np.ndarray, height: int, width: int) -> np.ndarray:
        return (made if made.shape[:2] == (height, width) else resized(made, width, height))[None]

    def _tell(self) -> None:
        self._emit(ProgressEvent(stage=Stage.UPSCALE, step=self._done, total=self._count))

    def _begin(self, frame: np.ndarray) -> None:
        """Move the net and choose tiles; idle models leave the device if the whole picture does not fit."""
        height, width = frame.shape[:2]
        self._tell()
        self._net = self._exact.on(self._device, self._dtypes[0])
        pixel = self._guarded(lambda: bytes_per_pixel(self._net, self._weight), frame)
        self._side = choose_side(height, width, self._room(pixel), pixel)
        if self._side is not None and self._device.type != "cpu":
            self._withdraw()
            self._side = choose_side(height, width, self._room(pixel), pixel)
        _log.info("Upscaling with %s, tiles of %s", self._name, self._side or "the whole picture")

    @property
    def _weight(self) -> torch.Tensor:
        return torch.empty(0, device=self._device, dtype=self._dtypes[0])

    def _room(self, pixel: float) -> float:
        budget = measure_budget(self._device, self._settings.home)
        if self._device.type == "cpu":
            return min(budget.ram_free * _SHARE_OF_RAM, _MOST_ON_CPU * pixel)
        return usable_bytes(budget, self._settings) - memory_in_use(self._device)

    def _enlarged(self, frame: np.ndarray) -> np.ndarray:
        """A frame; in smaller tiles where memory runs out, in float32 where half precision overflows."""
        height, width = frame.shape[:2]
        while True:
            try:
                made = self._guarded(
                    lambda: enlarge_frame(self._net, frame, self._weight, self._side, self._tell), frame
                )
            except (RuntimeError, MemoryError) as error:
                side = smaller(self._side, height, width)
                if not is_out_of_memory(error):
                    raise
                if side is None:
                    raise OutOfMemory(
                        f"The upscaler {self._name} has no room for a tile of {self._side} pixels; choose a "
                        "smaller one."
                    ) from error
                self._side = side
                release_cached(self._device)
                continue
            if made is not None:
                return made
            if len(self._dtypes) == 1:
                raise GenerationFailed(
                    f"The upscaler {self._name} made numbers that are no picture (NaN); choose another."
                )
            self._dtypes = [torch.float32]
            self._net = self._exact.on(self._device, torch.float32)
            self.notes.append(f"The upscaler {self._name} overflows in half precision; it ran in float32.")

    def _guarded(self, work: Callable[[], object], frame: np.ndarray) -> object:
        """``work()``, with one sentence for a net that cannot take such a picture."""
        try:
            return work()
        except (RuntimeError, ValueError, TypeError, LookupError, AssertionError) as error:
            if is_out_of_memory(error):
                raise
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise WeightsError(
                f"The upscaler {self._name} cannot take frames of {size} ({type(error).__name__}); choose "
                "another."
            ) from error

"""A long clip through windows: each is denoised by itself with what it is to see, then they are mixed."""

# C channels, F latent frames of the clip, R latent frames before it, W latent frames of a window

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.acceleration.windows import Frames, Window, windows_move, windows_of
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.schema import GenerationRequest
from wan_core.schema.windows import WindowOptions

Predict = Callable[[Tensor, Conditioning], Tensor]
"""Latents (1, C, R + W, H, W) and what belongs to them -> their guided velocity of the same shape."""


_OF_THE_CLIP = ("channel_latents", "vace_latents", "frame_latents", "camera", "camera_path")
"""Fields of a ``DiTConditioning`` that may be as long as the clip."""


def nothing() -> None:
    """What is done between windows where nobody asks."""


def is_loop(request: GenerationRequest) -> bool:
    """Whether the end of a request's clip flows into its start."""
    return request.windows is not None and request.windows.loops


class WindowCache(StepCache):
    """The step cache of a run, told which window the passes are of."""

    def __init__(self, cache: StepCache) -> None:
        self._cache = cache
        self.window = 0

    def begin_step(self, step: int) -> None:
        self._cache.begin_step(step)

    def renew(self) -> None:
        self._cache.renew()

    def velocity(self, transformer: nn.Module, call: Pass) -> Tensor:
        return self._cache.velocity(transformer, dataclasses.replace(call, window=self.window))


class Windowing:
    """The velocity of a whole clip, of which the transformer sees a window at a time.

    Args:
        options: settled; None is one window over everything, however long it is.
        cache: of the run; passes must go through ``self.cache``, which keeps the windows apart.
        between: called before each window but the first; it stops the run by raising.
    """

    def __init__(
        self, options: WindowOptions | None, cache: StepCache, between: Callable[[], None] = nothing
    ) -> None:
        self.cache = WindowCache(cache)
        self._options, self._between = options, between

    def velocity(self, predict: Predict, step: int, latents: Tensor, conditioning: Conditioning) -> Tensor:
        """(1, C, R + F, H, W) -> the same; what stands before the clip is part of every window.

        A window over the whole clip in its order is no window at all.
        """
        front = conditioning.front_frames
        total = latents.shape[2] - front
        if not self._cuts(total):
            return predict(latents, conditioning)
        windows = windows_of(self._options, total, step)
        velocity = torch.zeros_like(latents)
        for number, window in enumerate(windows):
            if number:
                self._between()
            self.cache.window = number
            places = torch.tensor(_with_front(window.frames, front), device=latents.device)
            weights = _weights(window, front, 1 / len(windows), latents)
            seen = through_window(conditioning, window.frames, total, self._options.anchor)
            velocity[:, :, places] += weights * predict(latents[:, :, places], seen.to(latents.device))
        return velocity

    def placed(self, conditioning: Conditioning, noise: Tensor, device: torch.device) -> Conditioning:
        """On the device; but where windows are cut out, what has the clip's length comes there with them."""
        cuts = self._cuts(noise.shape[2] - conditioning.front_frames)
        return conditioning.to(device, leaving=_OF_THE_CLIP if cuts else ())

    def _cuts(self, total: int) -> bool:
        options = self._options
        return options is not None and (total > options.latent_size or windows_move(options, total))


def through_window(conditioning: Conditioning, frames: Frames, total: int, anchor: bool) -> Conditioning:
    """What belongs to a window of a clip; what the passes share is cut once.

    Args:
        conditioning: of the whole clip.
        frames: the latent frames that the window shows.
        total: F.
        anchor: see ``WindowOptions``.
    """
    cut: dict[int, DiTConditioning] = {}

    def through(given: DiTConditioning | None) -> DiTConditioning | None:
        if given is not None and id(given) not in cut:
            cut[id(given)] = _cut(given, conditioning, frames, total, anchor)
        return None if given is None else cut[id(given)]

    parts = {name: through(getattr(conditioning, name)) for name in ("dit", "null", "bare", "idle")}
    return dataclasses.replace(conditioning, **parts)


def _cut(
    given: DiTConditioning, conditioning: Conditioning, frames: Frames, total: int, anchor: bool
) -> DiTConditioning:
    """Of what the model reads, what is of these frames; pictures and numbers for the whole clip stay."""
    changes: dict[str, Tensor] = {}
    if given.channel_latents is not None:
        followed = conditioning.followed_channels
        control, picture = given.channel_latents[:, :followed], given.channel_latents[:, followed:]
        as_given = _anchored(frames, total) if anchor else frames
        changes["channel_latents"] = torch.cat([_of(control, frames), _of(picture, as_given)], dim=1)
    if given.vace_latents is not None:
        changes["vace_latents"] = _of(given.vace_latents, _with_front(frames, conditioning.front_frames))
    if given.camera is not None:
        changes["camera"] = _of(given.camera, frames)
    if given.camera_path is not None:  # the model renders a video again, whose frames go with the clip's
        changes["camera_path"] = given.camera_path[:, list(frames)]
        changes["frame_latents"] = _of(given.frame_latents, frames)
    return dataclasses.replace(given, **changes)


def _anchored(frames: Frames, total: int) -> Frames:
    """What a window is given as if it were the clip's beginning: the first picture, then nothing known.

    The clip's last frame keeps what is given for it.
    """
    return tuple(frame if place and frame == total - 1 else place for place, frame in enumerate(frames))


def _of(tensor: Tensor, frames: Frames) -> Tensor:
    """(1, C, F, ...) -> (1, C, W, ...)."""
    return tensor[:, :, list(frames)]


def _with_front(frames: Frames, front: int) -> Frames:
    return (*range(front), *(front + frame for frame in frames))


def _weights(window: Window, front: int, share: float, latents: Tensor) -> Tensor:
    """(R + W, 1, 1), float32: of the window's frames theirs, of those before the clip an equal ``share``."""
    told = torch.tensor([share] * front + list(window.weights), dtype=latents.dtype, device=latents.device)
    return told[:, None, None]


def freely_shuffled(noise: Tensor, options: WindowOptions, seed: int, front: int = 0) -> Tensor:
    """Noise (1, C, R + F, H, W) -> the same with that of later windows being the first one's in other orders.

    FreeNoise: behind the first window, each further stretch repeats the noise of the frames one window
    before, shuffled. The ``front`` frames stay.
    """
    size, total = options.latent_size, noise.shape[2] - front
    fresh = max(size - options.latent_overlap, 1)
    order = list(range(min(size, total)))
    generator = torch.Generator().manual_seed(seed)
    while len(order) < total:
        source = order[-size:][: min(fresh, total - len(order))]
        order += [source[place] for place in torch.randperm(len(source), generator=generator)]
    return noise[:, :, list(_with_front(tuple(order), front))]

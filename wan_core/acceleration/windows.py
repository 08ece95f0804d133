"""Where the windows over a long clip lie, and how much each counts where they overlap. Imports no torch.

A window is denoised by itself, as if it were a clip; a step's velocity of the whole clip is the mean of its
windows'. So the memory is that of a window, however long the clip is.
"""

# F latent frames of a clip

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wan_core.schema.windows import WindowOptions

Frames = tuple[int, ...]
"""The latent frames of a clip that a window shows, in its order."""


@dataclass(frozen=True)
class Window:
    """What a window shows, and how much it counts there; over all windows of a step each frame's sum is 1."""

    frames: Frames
    weights: tuple[float, ...]


def windows_of(options: WindowOptions, total: int, step: int = 0) -> tuple[Window, ...]:
    """The windows of a step over ``total`` latent frames.

    Args:
        options: settled, see ``WindowOptions.settled``.
        total: F.
        step: counted from 0; the uniform and looped schedules lie elsewhere in every step.

    Returns:
        In the order of their first frames' appearance on the schedule; together they show every frame. One
        that shows the whole clip is alone.
    """
    places = _placed(options, total, step)
    shares = [_shares(frames, options, total) for frames in places]
    sums = [0.0] * total
    for frames, counted in zip(places, shares, strict=True):
        for frame, share in zip(frames, counted, strict=True):
            sums[frame] += share
    return tuple(
        Window(frames, tuple(share / sums[frame] for frame, share in zip(frames, counted, strict=True)))
        for frames, counted in zip(places, shares, strict=True)
    )


def windows_move(options: WindowOptions, total: int) -> bool:
    """Whether the windows lie elsewhere in every step."""
    return options.loops or (options.schedule == "uniform" and total > options.latent_size)


def frames_seen(options: WindowOptions, total: int) -> int:
    """How many latent frames the windows of a step show together; more than F, as they overlap."""
    return sum(len(frames) for frames in _placed(options, total, 0))


def seen_at_once(options: WindowOptions | None, total: int) -> int:
    """How many latent frames the largest window of settled options shows; without windows all."""
    return total if options is None else min(options.latent_size, total)


def kept_windows(options: WindowOptions | None, total: int) -> int:
    """For how many windows a step cache keeps something: none where they lie elsewhere in every step."""
    if options is None:
        return 1
    return 0 if windows_move(options, total) else len(_placed(options, total, 0))


def radical_inverse(step: int, base: int) -> float:
    """A step's digits turned round behind the point, in [0, 1); with base 2: 0, 1/2, 1/4, 3/4, 1/8 ..."""
    inverse, unit = 0.0, 1.0
    while step:
        step, digit = divmod(step, base)
        unit /= base
        inverse += digit * unit
    return inverse


def _placed(options: WindowOptions, total: int, step: int) -> list[Frames]:
    size, overlap = min(options.latent_size, total), options.latent_overlap
    if options.loops:
        return _ring(options, total, step)
    if size == total:
        return [tuple(range(total))]
    if options.schedule == "uniform":
        return _straightened(_ring(options, total, step), size, total)
    starts = _sliding_starts(size, overlap, total)
    if options.schedule == "static":
        starts = [*range(0, total - size, size - overlap), total - size]
    return [tuple(range(start, min(start + size, total))) for start in starts]


def _sliding_starts(size: int, overlap: int, total: int) -> list[int]:
    """DiffSynth's: as far as they bring something new; the last window may be short."""
    step = size - overlap
    count = math.ceil((total - size) / step) + 1
    return [number * step for number in range(count)]


def _ring(options: WindowOptions, total: int, step: int) -> list[Frames]:
    """Windows on a clip without ends, turned on in every step; a clip of one window is turned itself.

    They are turned by whole windows, in the order of reversed bits, and besides by part of one, so that they
    lie elsewhere also where the clip is a whole number of windows.
    """
    size, shift = options.latent_size, radical_inverse(step, 2)
    if size >= total:
        return [tuple((int(total * shift) + place) % total for place in range(total))]
    fresh = size - options.latent_overlap
    turned = fresh * int(total / fresh * shift) + int(fresh * radical_inverse(step, 3))
    found = []
    for stride in _strides(options, total):
        first = int(shift * stride) + turned
        for start in range(first, turned + total, size * stride - options.latent_overlap):
            found.append(tuple((start + place * stride) % total for place in range(size)))
    return found


def _strides(options: WindowOptions, total: int) -> Iterator[int]:
    """1, 2, 4 ... up to the stride asked for, as long as no window shows a frame twice."""
    levels = min(options.latent_stride, math.ceil(math.log2(total / options.latent_size)) + 1)
    for level in range(levels):
        if options.latent_size * 2**level <= total:
            yield 2**level


def _straightened(ring: Sequence[Frames], size: int, total: int) -> list[Frames]:
    """On a clip with ends: what goes over the end is moved back to it, and what is then missing is added."""
    found: list[Frames] = []
    for frames in ring:
        stride = (frames[1] - frames[0]) % total
        start = min(frames[0], total - 1 - (size - 1) * stride)
        found.append(tuple(range(start, start + (size - 1) * stride + 1, stride)))
    found = list(dict.fromkeys(found))
    while missing := set(range(total)) - {frame for frames in found for frame in frames}:
        start = min(min(missing), total - size)
        found.append(tuple(range(start, start + size)))
    return sorted(found, key=lambda frames: (frames[1] - frames[0], frames[0]))


def _shares(frames: Frames, options: WindowOptions, total: int) -> list[float]:
    """How much each place of a window counts before the windows are made to sum to 1."""
    is_start = not options.loops and frames[0] == 0
    is_end = not options.loops and frames[-1] == total - 1
    return _FUSED[options.fuse](len(frames), options.latent_overlap, is_start, is_end)


def _linear(count: int, overlap: int, is_start: bool, is_end: bool) -> list[float]:
    """1, but rising over an overlap at the start and falling over one at the end: (k + 1/2) / overlap."""
    shares = [1.0] * count
    for place in range(min(overlap, count)):
        rising = (place + 0.5) / overlap
        if not is_start:
            shares[place] = min(shares[place], rising)
        if not is_end:
            shares[-1 - place] = min(shares[-1 - place], rising)
    return shares


def _pyramid(count: int, overlap: int, is_start: bool, is_end: bool) -> list[float]:
    """1, 2, 3 ... up to the middle and down again."""
    return [float(min(place + 1, count - place)) for place in range(count)]


_FUSED = {"linear": _linear, "pyramid": _pyramid}

"""Draws how cost grows with frames and pixels, from what the bench has kept of its case ``growth``.

``python -m benchmarks.growth_plot`` writes ``docs/growth.svg``: dots are measured, lines are what was fitted
to them, dashed where they go on to sizes that were not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from benchmarks.report import saved
from wan_core.bench.growth import BY_FRAMES, BY_PIXELS, Clip, fitted

PLOT = Path(__file__).parents[1] / "docs" / "growth.svg"

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 60, 34
_COLOURS = {"pass": "#2f6fed", "decoding": "#d9622b"}
_WORDS = {"pass": "transformer, a pass of one block", "decoding": "VAE, decoding"}
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;font-size:12px}"
    "line{stroke:#57606a;stroke-opacity:.25}polyline{fill:none;stroke-width:1.5}"
)

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Axis:
    """What a chart grows by: how far the lines go, which sizes of it are named, and a clip of any size."""

    title: str
    end: float
    ticks: dict[float, str]
    size: Callable[[Clip], float]
    of_size: Callable[[Clip, float], Clip]


def _frames(clip: Clip, frames: float) -> Clip:
    return replace(clip, frames=4 * round((frames - 1) / 4) + 1)


def _pixels(clip: Clip, pixels: float) -> Clip:
    side = max(16, 16 * round(math.sqrt(pixels) / 16))
    return replace(clip, width=side, height=side)


FRAMES = Axis(
    "Frames", 161, {5: "5", 17: "17", 33: "33", 81: "81", 161: "161"}, lambda clip: clip.frames, _frames
)
PIXELS = Axis(
    "Pixels of a frame",
    1280 * 720,
    {4096: "64×64", 112 * 64 * 4: "224×128", 560 * 320: "560×320", 1280 * 720: "1280×720"},
    lambda clip: clip.width * clip.height,
    _pixels,
)


def logarithmic(least: float, most: float, start: float, end: float) -> Scale:
    """From a number between ``least`` and ``most`` to a place between ``start`` and ``end``."""
    ratio = (end - start) / math.log(most / least)
    return lambda number: start + math.log(number / least) * ratio


def chart(axis: Axis, clips: Sequence[Clip], seconds: dict[str, float], left: float) -> str:
    """One chart, ``left`` of the picture's edge; both axes are logarithmic."""
    lines = {part: _line(axis, [clip for clip in clips if clip.part == part], seconds) for part in _WORDS}
    every = [y for line in lines.values() for _, y, _ in line]
    powers = range(math.floor(math.log10(min(every))), math.ceil(math.log10(max(every))) + 1)
    x_of = logarithmic(min(axis.ticks), axis.end, _LEFT, _WIDTH - _RIGHT)
    y_of = logarithmic(10.0 ** powers[0], 10.0 ** powers[-1], _HEIGHT - _BOTTOM, _TOP)
    drawn = [f'<text class="title" x="{_LEFT}" y="16">{escape(axis.title)} → seconds</text>']
    for power in powers:
        y = y_of(10.0**power)
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for number, words in axis.ticks.items():
        anchor = "end" if number == axis.end else "middle"
        place = f'x="{x_of(number):.1f}" y="{_HEIGHT - 12}" text-anchor="{anchor}"'
        drawn.append(f"<text {place}>{words}</text>")
    for row, (part, line) in enumerate(lines.items()):
        drawn += _drawn(part, [clip for clip in clips if clip.part == part], row, line, (x_of, y_of))
        for clip in (clip for clip in clips if clip.part == part):
            at = f'cx="{x_of(axis.size(clip)):.1f}" cy="{y_of(seconds[clip.name]):.1f}"'
            drawn.append(f'<circle {at} r="3" fill="{_COLOURS[part]}"/>')
    return f'<g transform="translate({left} 0)">{"".join(drawn)}</g>'


def _line(axis: Axis, clips: list[Clip], seconds: dict[str, float]) -> list[tuple[float, float, bool]]:
    """Size, seconds, and whether that is within what was measured, from the smallest clip on."""
    predicted = fitted(clips, [seconds[clip.name] for clip in clips])
    least, most = axis.size(clips[0]), axis.size(clips[-1])
    places = [least * (axis.end / least) ** (step / 60) for step in range(61)]
    possible = dict.fromkeys(axis.of_size(clips[0], place) for place in places)
    return [(axis.size(clip), predicted(clip), axis.size(clip) <= most) for clip in possible]


def _drawn(
    part: str, clips: list[Clip], row: int, line: list[tuple[float, float, bool]], scales: tuple[Scale, Scale]
) -> list[str]:
    x_of, y_of = scales
    known = [point for point in line if point[2]]
    further = [known[-1], *(point for point in line if not point[2])]
    drawn = []
    for points, style in ((known, ""), (further, ' stroke-dasharray="4 4"')):
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y, _ in points)
        drawn.append(f'<polyline points="{path}" stroke="{_COLOURS[part]}"{style}/>')
    same_size = clips[0].width == clips[-1].width
    of = f"{clips[0].width}×{clips[0].height}" if same_size else f"{clips[0].frames} frames"
    words = f"{_WORDS[part]}, {of}"
    drawn.append(f'<text x="{_LEFT}" y="{32 + 14 * row}" style="fill:{_COLOURS[part]}">{words}</text>')
    return drawn


def draw(path: Path, seconds: dict[str, float]) -> None:
    """Both charts, side by side; ``seconds`` are those of each clip by its name."""
    parts = [chart(FRAMES, BY_FRAMES, seconds, 0), chart(PIXELS, BY_PIXELS, seconds, _WIDTH)]
    size = f'viewBox="0 0 {2 * _WIDTH} {_HEIGHT}" width="{2 * _WIDTH}" height="{_HEIGHT}"'
    words = "Seconds of a pass of one block and of decoding, by frames and by pixels"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n",
        encoding="utf-8",
    )


def main() -> None:
    """Draw what was saved on this machine."""
    measured = saved("bench")["cases"]["growth"]["seconds"]
    draw(PLOT, {name: taken["cpu"] for name, taken in measured.items()})


if __name__ == "__main__":
    main()

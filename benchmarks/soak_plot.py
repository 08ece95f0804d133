"""Line charts as SVG, without a library: what the soak saw over time."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

MIB = 2**20

_WIDTH, _HEIGHT = 420, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 40, 26
_COLOURS = ("#2f6fed", "#d9622b", "#2a9d5c", "#8a56c2")
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;font-size:12px}"
    "line{stroke:#57606a;stroke-opacity:.25}polyline{fill:none;stroke-width:1.5}"
)

Points = list[tuple[float, float]]


def draw(path: Path, samples: list[dict[str, Any]]) -> None:
    """Four charts of the load stage: answers, memory, open files and threads, the queue."""

    def of(process: str, name: str, scale: float = 1.0) -> Points:
        return [(sample["seconds"], sample[process][name] / scale) for sample in samples if process in sample]

    charts = [
        (
            "Slowest answer of /health, ms",
            {"last two seconds": [(s["seconds"], s["slowest_probe"] * 1000) for s in samples]},
        ),
        ("Memory, MiB", {"web process": of("web", "rss", MIB), "worker": of("worker", "rss", MIB)}),
        (
            "Open files and threads",
            {
                "files, web": of("web", "files"),
                "threads, web": of("web", "threads"),
                "files, worker": of("worker", "files"),
            },
        ),
        ("Jobs", {name: [(s["seconds"], s[name]) for s in samples] for name in ("queued", "done")}),
    ]
    parts = [
        chart(title, series, (number % 2 * _WIDTH, number // 2 * _HEIGHT))
        for number, (title, series) in enumerate(charts)
    ]
    size = f'viewBox="0 0 {2 * _WIDTH} {2 * _HEIGHT}" width="{2 * _WIDTH}" height="{2 * _HEIGHT}"'
    words = "Answers, memory, open files and jobs over the seconds of the load stage"
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{words}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )
    path.write_text(text, encoding="utf-8")


def chart(title: str, series: dict[str, Points], place: tuple[int, int]) -> str:
    """One chart with its top left corner at ``place``; both axes begin at 0."""
    points = [point for line in series.values() for point in line] or [(0.0, 0.0)]
    most_x, most_y = (max(max(point[axis] for point in points), 1e-9) for axis in (0, 1))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    drawn = [f'<text class="title" x="{_LEFT}" y="16">{escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = _TOP + high * (1 - share)
        drawn.append(f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most_y * share:.4g}</text>')
        x = _LEFT + wide * share
        drawn.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{most_x * share:.0f} s</text>'
        )
    at = _LEFT
    for colour, (name, line) in zip(_COLOURS, series.items(), strict=False):
        path = " ".join(
            f"{_LEFT + wide * x / most_x:.1f},{_TOP + high * (1 - y / most_y):.1f}" for x, y in line
        )
        drawn.append(f'<polyline points="{path}" stroke="{colour}"/>')
        drawn.append(f'<text x="{at}" y="32" style="fill:{colour}">{escape(name)}</text>')
        at += 7 * len(name) + 14
    return f'<g transform="translate{place}">{"".join(drawn)}</g>'

"""Does a model of true size run here? Memory and time of the command line, and of each part alone.

    python -m benchmarks.make_true_size_weights HOME/models/Wan2.1-T2V-1.3B
    python -m benchmarks.true_size HOME

Everything runs in processes of its own, watched from outside, with the checkpoints read from the disk:
the system's copies are dropped before each. Fails if any takes more than the limit. Linux only.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.report import save
from benchmarks.watch import Watched, forget, watch
from wan_core.catalog import ModelSpec, find_model

log = logging.getLogger("true_size")

LIMIT_BYTES = 20 * 2**30
REQUEST = {
    "prompt": "A cat walks through the snow at dawn",
    "width": 128,
    "height": 128,
    "num_frames": 5,
    "num_inference_steps": 2,
    "seed": 1,
}
# (part, precision); "auto" is what the studio chooses on a CPU: nothing is cast
PARTS = (
    ("none", "auto"),
    ("text_encoder", "auto"),
    ("transformer", "auto"),
    ("transformer", "bf16"),
    ("vae", "auto"),
)


@dataclass(frozen=True)
class Row:
    """One run; the seconds are None where they do not apply."""

    name: str
    watched: Watched
    load_seconds: float | None = None
    first_use_seconds: float | None = None
    second_use_seconds: float | None = None

    def entries(self) -> dict[str, object]:
        """For the report, in seconds and GiB."""
        return {
            "name": self.name,
            "load_seconds": _rounded(self.load_seconds),
            "first_use_seconds": _rounded(self.first_use_seconds),
            "second_use_seconds": _rounded(self.second_use_seconds),
            "seconds": _rounded(self.watched.seconds),
            "cpu_seconds": _rounded(self.watched.cpu_seconds),
            "peak_gib": _rounded(self.watched.peak_bytes / 2**30),
            "peak_own_gib": _rounded(self.watched.peak_own_bytes / 2**30),
        }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 2)


def forget_all(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            forget(path)


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def measure_part(home: Path, spec: ModelSpec, part: str, precision: str) -> Row:
    """Load one part in a process of its own and use it twice."""
    command = python("benchmarks.load_part", str(home), part, "--model", spec.id, "--precision", precision)
    watched = watch(command)
    name = "program without weights" if part == "none" else f"{part.replace('_', ' ')}, {precision}"
    return Row(name, watched, **json.loads(watched.stdout))


def measure_cli(home: Path, spec: ModelSpec) -> Row:
    """Generate a small video with the ordinary command line."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in REQUEST.items()]
    with tempfile.TemporaryDirectory() as folder:
        where = ["--home", str(home), "--device", "cpu", "--offline", "--output", f"{folder}/clip.mp4"]
        watched = watch(python("wan_core", "generate", "--model", spec.id, *where, *options))
    return Row("generate", watched)


def report(spec: ModelSpec, rows: list[Row], load_before: float) -> dict[str, object]:
    """The figures and what they depend on; nothing about where files lie."""
    said = [line for line in rows[-1].watched.stderr.splitlines() if re.search(r"\d s\b", line)]
    return {
        "cores": os.cpu_count(),
        "memory_gib": _rounded(psutil.virtual_memory().total / 2**30),
        "load_average_before": _rounded(load_before),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "transformers", "safetensors")},
        "model": spec.id,
        "weights": "random",
        "request": REQUEST,
        "limit_gib": LIMIT_BYTES / 2**30,
        "runs": [row.entries() for row in rows],
        "generate_says": said,
    }


def print_table(rows: list[Row]) -> None:
    titles = ("load s", "1st use s", "2nd use s", "all s", "CPU s", "peak GiB", "own GiB")
    print(f"{'':26}" + "".join(f"{title:>11}" for title in titles))
    for row in rows:
        name, *numbers = row.entries().values()
        print(f"{name:26}" + "".join(f"{'' if n is None else f'{n:.2f}':>11}" for n in numbers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path, help="the studio's folder; the weights are in its models folder")
    parser.add_argument("--model", default="wan2.1-t2v-1.3b")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spec, load_before = find_model(options.model), os.getloadavg()[0]
    checkpoints = options.home / "models" / spec.repo.partition("/")[2]
    rows = []
    for part, precision in PARTS:
        log.info("Measuring %s, %s", part, precision)
        forget_all(checkpoints)
        rows.append(measure_part(options.home, spec, part, precision))
    log.info("Measuring the command line")
    forget_all(checkpoints)
    rows.append(measure_cli(options.home, spec))
    print_table(rows)
    results = report(spec, rows, load_before)
    print("\n".join(results["generate_says"]))
    target = save("true_size", results)
    print(target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target.name)
    over = [row.name for row in rows if row.watched.peak_bytes > LIMIT_BYTES]
    if over:
        raise SystemExit(f"Over {LIMIT_BYTES / 2**30:.0f} GiB: {', '.join(over)}.")


if __name__ == "__main__":
    main()

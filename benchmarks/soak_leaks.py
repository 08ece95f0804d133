"""The leak stages of the soak: many jobs through the app, and many model swaps in one process.

``python -m benchmarks.soak_leaks SWAPS`` makes the swaps in its own process and prints their JSON.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil

from tests.faults.whole_app import SMALL, WholeApp

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20

MOST_JOBS_GROW, MOST_SWAPS_GROW = 50.0, 64.0
"""MiB."""

_WARM = 20
_TOGETHER = 10


def many_jobs(home: Path, jobs: int) -> dict[str, Any]:
    """Make ``jobs`` videos with one app and worker; what is in use after the twentieth, and at the end."""
    app = WholeApp(home)
    app.start()
    samples: list[dict[str, dict[str, int]]] = []
    for _ in range(jobs):
        job = app.submit()
        while app.call("status", job)["status"] not in ("done", "failed"):
            time.sleep(0.05)
        samples.append(app.usage())
    app.stop()
    warm, end = samples[_WARM - _TOGETHER : _WARM], samples[-_TOGETHER:]
    growth = {
        process: {
            name: _median(end, process, name) - _median(warm, process, name)
            for name in ("rss", "files", "threads", "children")
        }
        for process in ("web", "worker")
    }
    rss = [[round(sample[process]["rss"] / MIB, 1) for sample in samples] for process in ("web", "worker")]
    grown = sum(part.pop("rss") for part in growth.values()) / MIB
    return {
        "jobs": jobs,
        "grown_mib": round(grown, 1),
        "others": growth,
        "web_mib": rss[0],
        "worker_mib": rss[1],
    }


def jobs_passed(report: dict[str, Any]) -> bool:
    others = [value for part in report["others"].values() for value in part.values()]
    return report["grown_mib"] <= MOST_JOBS_GROW and all(value <= 0 for value in others)


def many_swaps(swaps: int) -> dict[str, Any]:
    """The swaps, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.soak_leaks", str(swaps)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def swaps_passed(report: dict[str, Any]) -> bool:
    return report["grown_mib"] <= MOST_SWAPS_GROW and report["grown_files"] <= 0


def _median(samples: list[dict[str, dict[str, int]]], process: str, name: str) -> int:
    return int(statistics.median(sample.get(process, {}).get(name, 0) for sample in samples))


def _swap(swaps: int, home: Path) -> dict[str, Any]:
    """A job with one model, all of it out of memory, a job with the other, and so on."""
    from wan_core.engine import Engine
    from wan_core.media.inputs import InputStore
    from wan_core.schema import GenerationRequest, Settings

    settings = Settings(home=home, device="cpu", offline=True)
    engine, own = Engine(settings), psutil.Process()
    picture = InputStore(settings.inputs_dir).keep_picture(np.full((64, 64, 3), 90, np.uint8))
    asked = [
        GenerationRequest.parse({**SMALL, "prompt": "a red circle", "seed": 1}),
        GenerationRequest.parse(
            {
                **SMALL,
                "model": "demo-image",
                "task": "i2v",
                "image": picture,
                "prompt": "a red circle",
                "seed": 1,
            }
        ),
    ]
    memory, files = [], []
    for number in range(swaps):
        engine.generate(asked[number % 2]).video.unlink()
        engine.unload()
        gc.collect()
        memory.append(own.memory_info().rss / MIB)
        files.append(own.num_fds())
    warm, end = slice(_TOGETHER, 2 * _TOGETHER), slice(-_TOGETHER, None)
    return {
        "swaps": swaps,
        "grown_mib": round(statistics.median(memory[end]) - statistics.median(memory[warm]), 1),
        "grown_files": statistics.median(files[end]) - statistics.median(files[warm]),
        "mib": [round(value, 1) for value in memory],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_swap(int(sys.argv[1]), Path(folder))))

"""How long until a newcomer sees a video? The real app on the demo model, cold and warm.

    python -m benchmarks.demo_speed [--runs 3]

Each run starts ``python app.py`` in a fresh home and asks for one video as soon as the page is served; then
for another, from the worker that is now warm. Prints medians and saves them.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from benchmarks.report import save
from wan_core.jobs.job import JobStatus
from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationRequest, Settings

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"served": 5.0, "cold": 30.0, "warm": 15.0}  # seconds
_PATIENCE = 180.0
_LOOK_SECONDS = 0.02


def one_run() -> dict[str, float]:
    """Seconds until the page is served, until the first video, and for the second video."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        started = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py", "--home", home, "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: is_served(port))
            served = time.perf_counter() - started
            store = JobStore(Settings(home=Path(home)).store_path)
            make_video(store, seed=1)
            cold = time.perf_counter() - started
            again = time.perf_counter()
            make_video(store, seed=2)
            return {"served": served, "cold": cold, "warm": time.perf_counter() - again}
        finally:
            app.send_signal(signal.SIGTERM)
            app.wait()


def is_served(port: int) -> bool:
    with suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200
    return False


def make_video(store: JobStore, seed: int) -> None:
    """Queue a demo video with all defaults and wait for it."""
    job = store.submit(GenerationRequest(prompt="a red circle moving right in the blue sky", seed=seed))
    wait_for(lambda: store.get(job).status.is_final)
    if (done := store.get(job)).status is not JobStatus.DONE:
        raise RuntimeError(f"the job ended as {done.status}: {done.error}")


def wait_for(is_true) -> None:
    ends = time.perf_counter() + _PATIENCE
    while not is_true():
        if time.perf_counter() > ends:
            raise TimeoutError(f"nothing after {_PATIENCE:.0f} s")
        time.sleep(_LOOK_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    load_before = os.getloadavg()[0]
    runs = [one_run() for _ in range(parser.parse_args().runs)]
    medians = {name: round(statistics.median(run[name] for run in runs), 2) for name in TARGETS}
    for name, seconds in medians.items():
        spread = ", ".join(f"{run[name]:.1f}" for run in runs)
        print(f"{name:8}{seconds:6.1f} s  (target {TARGETS[name]:.0f} s; {spread})")
    report = {"cores": os.cpu_count(), "load_average_before": round(load_before, 2), "medians": medians}
    save("demo_speed", {**report, "runs": [{k: round(v, 2) for k, v in run.items()} for run in runs]})


if __name__ == "__main__":
    main()

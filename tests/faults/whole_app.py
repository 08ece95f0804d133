"""``python app.py`` as a process that can be asked, killed and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.crashes import Tally, conclude, drain, look, worker_is_ready
from wan_core.jobs.job import JobStatus
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings

ROOT = Path(__file__).resolve().parents[2]

SMALL = {
    "model": "demo",
    "width": 64,
    "height": 64,
    "num_frames": 5,
    "num_inference_steps": 2,
    "guidance_scale": 1.0,
}
"""A job that takes less than a second."""


class WholeApp:
    """The app on a home folder, with the real worker; its words go to ``app.log`` beside the home."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.settings = Settings(home=home, device="cpu", offline=True)
        self.address = f"http://127.0.0.1:{_free_port()}"
        self._arguments = arguments
        self._client = httpx.Client(base_url=self.address, timeout=60)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, seconds: float = 120.0) -> float:
        """Start it; returns the seconds until a browser is served."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        command = [sys.executable, "app.py", "--home", str(self.settings.home), *self._arguments]
        with (self.settings.home.parent / "app.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", self.address.rpartition(":")[2]],
                cwd=ROOT,
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                stdout=log,
                stderr=log,
            )
        while time.monotonic() - begin < seconds and self._process.poll() is None:
            with suppress(httpx.HTTPError):
                if self._client.get("/").status_code == 200:
                    return time.monotonic() - begin
            time.sleep(0.05)
        raise RuntimeError("the app does not serve; see app.log")

    def call(self, name: str, *data: Any) -> Any:
        """An endpoint's answer."""
        answer = self._client.post(f"/gradio_api/run/{name}", json={"data": list(data)})
        answer.raise_for_status()
        return answer.json()["data"][0]

    def submit(self, **fields: Any) -> str:
        """Queue a small job; returns its id."""
        return self.call("generate", {"prompt": "a red circle", **SMALL, **fields}, {})

    def kill(self) -> None:
        """As the system kills it: at once, and without its worker."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """As a person ends it; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._client.close()
        return code

    def usage(self) -> dict[str, dict[str, int]]:
        """Memory in bytes, open files, threads and child processes of the web process and the worker."""
        web = psutil.Process(self._process.pid)
        found = {"web": _usage(web)}
        for child in web.children():
            with suppress(psutil.Error):
                if "wan_core.jobs.worker" in " ".join(child.cmdline()):
                    found["worker"] = _usage(child)
        return found


def _usage(process: psutil.Process) -> dict[str, int]:
    with process.oneshot():
        return {
            "rss": process.memory_info().rss,
            "files": process.num_fds(),
            "threads": process.num_threads(),
            "children": len(process.children(recursive=True)),
        }


def kill_app(home: Path, kills: int, seed: int = 0) -> Tally:
    """Kill the whole app ``kills`` times while it makes videos; each time it is started again."""
    dice, tally = random.Random(seed), Tally()
    app = WholeApp(home)
    app.start()
    store = JobStore(app.settings.store_path)
    for number in range(kills):
        while store.counts()[JobStatus.QUEUED] < 3:
            tally.acknowledged.append(app.submit(seed=dice.randrange(2**31), preview_every=1))
        if number % 2 == 0:  # else it may be killed while its worker starts
            worker_is_ready(store, None)
        time.sleep(dice.uniform(0, 2.0))
        pid = store.worker_status().pid
        begin = time.monotonic()
        app.kill()
        tally.serving.append(app.start())
        if number % 2:
            worker_is_ready(store, pid)
            tally.respawn.append(time.monotonic() - begin)
        tally.kills += 1
        look(store, app.settings, tally)
    drain(store, tally, store.retry, seconds=300)
    app.stop()
    conclude(store, app.settings, tally)
    store.close()
    return tally


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""Clients that load a studio: ``python -m benchmarks.soak_clients ADDRESS KIND COUNT JOBS SEED``.

``COUNT`` clients of a ``KIND`` (``gradio`` or ``raw``) share ``JOBS`` jobs. Each submits its own, asks how
far they are, cancels some, and looks whether what it gets back is what it asked for. Prints one JSON
object: latencies in seconds by endpoint, what became of each job, answers of 500 and above, and mix-ups.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
from gradio_client import Client

from tests.faults.whole_app import SMALL

_SECONDS_BETWEEN_JOBS, _SECONDS_BETWEEN_LOOKS = (1.0, 5.0), (2.0, 6.0)
_CANCELLED, _BROKEN = 0.05, 0.1
"""Share of jobs that are cancelled, and of submissions before which a connection breaks in its middle."""

Call = Callable[..., Any]


class Report:
    """What all clients of this process saw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.latencies: dict[str, list[float]] = {"generate": [], "status": [], "cancel": [], "result": []}
        self.jobs: dict[str, str] = {}
        self.failures: list[str] = []
        self.crossed: list[str] = []

    def timed(self, call: Call, name: str, *data: Any) -> Any:
        """An answer; None where there was none."""
        start = time.perf_counter()
        try:
            answer = call(name, *data)
        except Exception as error:  # noqa: BLE001  the edge: whatever a client meets is counted
            with self._lock:
                self.failures.append(f"{name}: {type(error).__name__} {str(error)[:120]}")
            return None
        with self._lock:
            self.latencies[name].append(time.perf_counter() - start)
        return answer

    def note(self, job: str, status: str) -> None:
        with self._lock:
            self.jobs[job] = status


def raw_call(address: str) -> Call:
    """Plain POSTs over a connection of its own."""
    client = httpx.Client(base_url=address, timeout=120)

    def call(name: str, *data: Any) -> Any:
        answer = client.post(f"/gradio_api/run/{name}", json={"data": list(data)})
        answer.raise_for_status()
        return answer.json()["data"][0]

    return call


def gradio_call(address: str) -> Call:
    """The official client."""
    client = Client(address, verbose=False, httpx_kwargs={"timeout": 120})
    return lambda name, *data: client.predict(*data, api_name=f"/{name}")


KINDS = {"gradio": gradio_call, "raw": raw_call}


def work(address: str, call: Call, tag: str, jobs: int, report: Report) -> None:
    """One client's life."""
    dice = random.Random(tag)
    own: dict[str, str] = {}
    time.sleep(dice.uniform(0, _SECONDS_BETWEEN_JOBS[1]))
    for number in range(jobs):
        if tag.startswith("raw") and dice.random() < _BROKEN:
            _break_off(address)
        prompt = f"a red circle, {tag}-{number}"
        job = report.timed(call, "generate", {**SMALL, "prompt": prompt, "seed": number}, {})
        if job is not None:
            own[job] = prompt
            report.note(job, "queued")
        time.sleep(dice.uniform(*_SECONDS_BETWEEN_JOBS))
    for job in list(own):
        if dice.random() < _CANCELLED and report.timed(call, "cancel", job):
            report.note(job, "cancelled")
    while own:
        job = next(iter(own))
        _look(call, job, own, report)
        time.sleep(dice.uniform(*_SECONDS_BETWEEN_LOOKS))


def _look(call: Call, job: str, own: dict[str, str], report: Report) -> None:
    answer = report.timed(call, "status", job)
    if answer is None or answer["status"] in ("queued", "running"):
        return
    prompt = own.pop(job)
    if report.jobs.get(job) != "cancelled" or answer["status"] != "cancelled":
        report.note(job, answer["status"])
    if answer["status"] == "done":
        made = report.timed(call, "result", job)
        if made is not None and made["request"]["prompt"] != prompt:
            report.crossed.append(job)


def _break_off(address: str) -> None:
    """Half a request, and then nobody is there."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        head = f"POST /gradio_api/run/generate HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{{".encode())


def main() -> None:
    """Connect, say so, wait for a line, run the clients, and print what they saw."""
    address, kind, count, jobs, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    report = Report()
    share = [jobs // count + (number < jobs % count) for number in range(count)]
    calls = [KINDS[kind](address) for _ in range(count)]
    for call in calls:
        Report().timed(call, "status", "nobody's")  # refused; the session and its stream are there now
    print("connected", flush=True)
    sys.stdin.readline()
    clients = [
        threading.Thread(target=work, args=(address, call, f"{kind}{seed}-{number}", share[number], report))
        for number, call in enumerate(calls)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    values = {name: getattr(report, name) for name in ("latencies", "jobs", "failures", "crossed")}
    print(json.dumps(values))


if __name__ == "__main__":
    main()

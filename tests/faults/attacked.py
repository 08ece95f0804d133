"""A studio to attack, really launched, with canaries lying about."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-3f1b77"
LOGIN = ("ann", "a-long-password")
MODES: dict[str, list[str]] = {
    "local": [],
    "auth": ["--listen", "--auth", ":".join(LOGIN)],
    "public": ["--listen", "--public"],
}
_PLACES = re.compile(r"(/usr/lib|/usr/local|/root/|/home/|/etc/|/proc/|site-packages|Traceback|File \\?\")")


@dataclass
class Attacked:
    """A studio that runs, and what it has said so far.

    ``told`` are answers that hold what nobody may learn; ``statuses`` are those of all answers.
    """

    mode: str
    home: Path
    address: str
    report: Path
    client: httpx.Client
    process: subprocess.Popen[bytes]
    statuses: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request and look its answer over."""
        request = self.client.build_request(method, self.address, **more)
        request.url = request.url.copy_with(raw_path=path.encode("utf-8", "surrogatepass"))
        answer = self.client.send(request)
        self.look_over(f"{method} {path[:80]}", answer)
        return answer

    def call(self, number: int, data: list[Any], **more: Any) -> httpx.Response:
        """Call a listener of the page as its scripts do."""
        body = {"data": data, "fn_index": number, "session_hash": "attacker", **more}
        return self.ask("POST", "/gradio_api/run/predict", json=body)

    def look_over(self, what: str, answer: httpx.Response) -> None:
        """Note an answer that tells what nobody may learn."""
        self.statuses.append(answer.status_code)
        text = answer.text
        if CANARY in text or "root:x:0" in text:
            self.told.append(f"canary: {what}")
        if answer.status_code >= 400 and (
            _PLACES.search(text) or str(self.home) in text or str(ROOT) in text
        ):
            self.told.append(f"place: {what}: {text[:200]}")
        if self.mode == "public" and str(self.home) in text:
            self.told.append(f"home: {what}: {text[:200]}")

    def outbound(self) -> list[str]:
        """What left the process, or tried to."""
        return self.report.read_text().splitlines() if self.report.exists() else []

    def config(self) -> dict[str, Any]:
        """What the page is made of."""
        return self.ask("GET", "/config").json()

    def listener(self, element: str, event: str) -> tuple[int, int]:
        """(number, values) of what listens to an event of an element."""
        config = self.config()
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        for listener in config["dependencies"]:
            if [ids[element], event] in [list(target) for target in listener["targets"]]:
                return listener["id"], len(listener["inputs"])
        raise KeyError(element)


@contextmanager
def attacked(mode: str, folder: Path) -> Iterator[Attacked]:
    """A studio in a mode, in an otherwise empty home, logged in where a login is asked for."""
    home, report, log = folder / "home", folder / "outbound.txt", folder / "log.txt"
    home.mkdir()
    for place in (home / "secret.txt", folder / "secret.txt"):
        place.write_text(CANARY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.faults.watched_app", str(report), "--home", str(home)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), *MODES[mode]], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 120
        while "is ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        with httpx.Client(timeout=60, follow_redirects=False) as client:
            studio = Attacked(mode, home, f"http://127.0.0.1:{port}", report, client, process)
            if mode == "auth":
                studio.ask("POST", "/login", data=dict(zip(("username", "password"), LOGIN, strict=True)))
            studio.ask("GET", "/")
            yield studio
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

"""What a host needs: a Space, a container, figures for a collector."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.attacked import attacked

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
SPACE = {"SPACE_ID": "ann/studio", "SPACE_HOST": "ann-studio.hf.space"}


@contextmanager
def served(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, Path]]:
    """(address, log) of a studio that is started as a host does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        command = [sys.executable, str(ROOT / "app.py"), "--home", str(home), "--port", str(port), *arguments]
        process = subprocess.Popen(
            command, cwd=home.parent, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 120
        while "is ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.parametrize("zero", ["", "true"])
def test_a_space_starts_open_to_all_with_limits(tmp_path: Path, zero: str) -> None:
    with served(tmp_path / "home", **SPACE, SPACES_ZERO_GPU=zero) as (address, log):
        there = {"host": SPACE["SPACE_HOST"], "origin": f"https://{SPACE['SPACE_HOST']}"}
        page = httpx.get(f"{address}/", headers={"host": SPACE["SPACE_HOST"]})
        assert page.status_code == 200
        assert "SameSite=None; Secure; Partitioned" in page.headers["set-cookie"]
        assert "frame-ancestors 'self' https://huggingface.co" in page.headers["content-security-policy"]
        assert httpx.get(f"{address}/config", headers=there).status_code == 200
        assert httpx.get(f"{address}/config", headers={"host": "evil.example"}).status_code == 421
        assert httpx.get(f"{address}/gradio_api/info", headers=there).status_code == 404
        assert httpx.get(f"{address}/metrics").status_code == 404
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    assert ("Everybody who can reach this address" in log.read_text()) and "password" not in log.read_text()
    assert ("The package spaces is not here" in log.read_text()) is bool(zero)


def test_a_space_with_a_login_asks_for_it(tmp_path: Path) -> None:
    with served(tmp_path / "home", **SPACE, WAN_STUDIO_AUTH="ann:a-long-password") as (address, log):
        assert httpx.get(f"{address}/config").status_code == 401
        assert httpx.get(f"{address}/metrics", auth=("ann", "a-long-password")).status_code == 200
    assert "a-long-password" not in log.read_text()


def test_a_public_bind_without_a_word_gets_a_password_that_is_printed_once(tmp_path: Path) -> None:
    with served(tmp_path / "home", "--listen") as (address, log):
        (password,) = re.findall(r"Log in as wan with the password (\S+)", log.read_text())
        assert len(password) >= 16
        assert httpx.get(f"{address}/config").status_code == 401
        assert httpx.get(f"{address}/metrics", auth=("wan", password)).status_code == 200
    assert log.read_text().count(password) == 1
    assert password not in (tmp_path / "home" / "logs" / "studio.log").read_text()


def test_figures_are_in_prometheus_format(tmp_path: Path) -> None:
    with attacked("local", tmp_path) as studio:
        answer = studio.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['wan_studio_jobs{status="queued"}'] == "0"
    assert int(values["wan_studio_resident_bytes"]) > 50_000_000
    assert int(values['wan_studio_http_answers_total{status="200"}']) >= 1
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in values} == named
    assert str(studio.home) not in answer.text


def front_matter() -> dict[str, str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    return dict(line.split(": ", 1) for line in text.strip().splitlines() if ": " in line)


def test_the_readme_is_a_space() -> None:
    told = front_matter()
    assert told["sdk"] == "gradio" and told["app_file"] == "app.py"
    pinned = re.search(r"^gradio==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert told["sdk_version"] == pinned[1]
    assert told["python_version"] == '"3.12"'
    assert len(told["short_description"]) <= 60
    assert "spaces" not in (ROOT / "requirements.txt").read_text()  # the platform brings its own


def test_the_container_is_small_unprivileged_and_looked_after() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    told = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    names = [name for name, _ in told]
    assert told[0] == ["FROM", "python:3.11-slim"]
    assert names.index("USER") < names.index("CMD") and dict(told)["USER"] == "studio"
    command = json.loads(dict(told)["CMD"])
    assert command[:2] == ["python", "app.py"] and "--listen" in command
    assert "/health" in dict(told)["HEALTHCHECK"]
    assert set(json.loads(dict(told)["VOLUME"])) == {"/home/studio/data", "/home/studio/hub"}
    environment = dict(pair.split("=", 1) for pair in dict(told)["ENV"].split())
    assert set(environment["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility", "video"}
    copied = [rest for name, rest in told if name == "COPY"]
    assert copied[0].startswith("requirements.txt") and "--chown=studio" in copied[1]
    assert not any("latest" in rest or "sudo" in rest or "curl" in rest for _, rest in told)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", "tests", "**/__pycache__"} <= set(ignored)

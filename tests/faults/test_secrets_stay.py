"""No process that the studio starts is told a login that it has no use for: looked up in the real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.faults.attacked import CANARY, attacked
from tests.jobs.conftest import process_executor, wait_for
from wan_core.confined.environment import is_secret, without_secrets
from wan_core.media.frame_pipe import FramePipe
from wan_core.prompts.local_model import ask_local
from wan_core.schema import Settings

pytestmark = pytest.mark.faults

SECRETS = {
    "HF_TOKEN": f"hf_{CANARY}",
    "OPENAI_API_KEY": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "GITHUB_PAT": CANARY,
    "WAN_STUDIO_AUTH": f"ann:{CANARY}",
    "DATABASE_URL": f"postgres://ann:{CANARY}@127.0.0.1/jobs",
    "HTTPS_PROXY": f"http://ann:{CANARY}@127.0.0.1:1",
}
FOR_THE_HUB = {"HF_TOKEN", "HTTPS_PROXY"}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins lie about in the studio's environment."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def told(pid: int) -> set[str]:
    """Which of them a process was told."""
    return {name for name, value in psutil.Process(pid).environ().items() if CANARY in value}


@pytest.mark.parametrize(("offline", "known"), [(False, FOR_THE_HUB), (True, set())])
def test_a_worker_knows_the_hubs_login_only_if_it_may_download(
    tmp_path: Path, secrets: None, offline: bool, known: set[str]
) -> None:
    executor = process_executor(Settings(home=tmp_path, offline=offline))
    executor.start()
    try:
        pid = wait_for(lambda: executor.store.worker_status().pid)
        assert told(pid) == known
        executor.change(Settings(home=tmp_path, offline=not offline))
        other = wait_for(lambda: new if (new := executor.store.worker_status().pid) not in (None, pid) else 0)
        assert told(other) == FOR_THE_HUB - known
    finally:
        executor.stop()
        executor.store.close()


def test_what_codes_a_video_knows_nothing(secrets: None) -> None:
    pipe = FramePipe(
        ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "16x16", "-i", "pipe:0", "-f", "null", "-"],
        "stderr",
        lambda end: end.read(),
    )
    try:
        assert told(pipe._process.pid) == set()
    finally:
        pipe.close()
        assert pipe.wait() == 0


def test_what_writes_prompts_knows_nothing(tmp_path: Path, secrets: None) -> None:
    seen: list[set[str]] = []

    def look(process: subprocess.Popen[str]) -> None:
        seen.append(told(process.pid))
        process.kill()

    with pytest.raises(Exception, match="ended before it wrote anything"):
        ask_local(tmp_path, [], 30, look)
    assert seen == [set()]


@pytest.mark.parametrize("mode", ["public", "local"])
def test_nothing_that_a_running_studio_starts_knows_more(
    tmp_path: Path, secrets: None, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.delenv("WAN_STUDIO_AUTH")
    with attacked(mode, tmp_path) as studio:
        family = psutil.Process(studio.process.pid).children
        worker = wait_for(lambda: [each for each in family() if "jobs.worker" in str(each.cmdline())])[0]
        assert told(worker.pid) == ({"HTTPS_PROXY"} if mode == "public" else FOR_THE_HUB)
        assert not any(told(each.pid) for each in family(recursive=True) if each != worker)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("XAUTHORITY", "/run/x"),
        ("HF_HOME", "/data"),
        ("PYTHONPATH", "/src"),
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("HTTP_PROXY", "http://proxy:3128"),
        ("KEYBOARD", "de"),
    ],
)
def test_what_is_no_secret_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not is_secret(name, value) and without_secrets()[name] == value

"""The HTTP API: what docs/api.md says can be done is done, and nobody gets further."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.utils import get_upload_folder
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage, Studio
from ui.serving.endpoint_schema import FILES_SCHEMA, request_schema
from ui.serving.server import Access, mcp_words, serves_mcp
from wan_core.media.read import read_video
from wan_core.media.sniff import sniff
from wan_core.schema import GenerationRequest
from wan_core.schema.inputs import MEDIA_FIELDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def call(studio: Studio, endpoint: str, *data: Any) -> httpx.Response:
    url = f"{studio.address}gradio_api/run/{endpoint}"
    return httpx.post(url, json={"data": list(data)}, timeout=30)


def refusal(studio: Studio, request: Any, files: Any = None) -> str:
    answer = call(studio, "generate", request, files)
    assert answer.status_code == 400
    return answer.json()["error"]


def example(language: str, studio: Studio) -> str:
    (code, *_) = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return code.replace("http://127.0.0.1:7860", studio.address.rstrip("/"))


def run(words: list[str], folder: Path) -> str:
    (folder / "assets").symlink_to(ROOT / "assets")
    surroundings = {**os.environ, "TMPDIR": str(folder), "GRADIO_TEMP_DIR": str(folder)}
    done = subprocess.run(
        words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_runs(studio: Studio, tmp_path: Path) -> None:
    file, seed = run([sys.executable, "-c", example("python", studio)], tmp_path).split()
    assert seed == "1"
    assert sniff(Path(file)).kind == "video"
    job = studio.context.store.list()[0]
    assert (job.request.task, job.request.num_inference_steps) == ("i2v", 4)
    kept = studio.context.settings.inputs_dir / job.request.image
    assert kept.read_bytes() == (ROOT / "assets" / "examples" / "circle-first.png").read_bytes()


def test_the_curl_example_runs(studio: Studio, tmp_path: Path) -> None:
    run(["bash", "-ec", example("bash", studio)], tmp_path)
    assert (
        len(read_video(tmp_path / "circle.mp4").frames) == studio.context.store.list()[0].request.num_frames
    )


def test_a_job_is_followed_and_cancelled(studio: Studio) -> None:
    (first,) = call(studio, "generate", {"prompt": "slowly", "num_inference_steps": 200}, {}).json()["data"]
    (second,) = call(studio, "generate", {"prompt": "slowly"}, None).json()["data"]
    assert "ask status" in call(studio, "result", second).json()["error"]
    (status,) = call(studio, "status", second).json()["data"]
    assert (status["status"], status["jobs_before"]) == ("queued", 1)
    assert [call(studio, "cancel", job).json()["data"] for job in (second, first)] == [[True], [True]]
    deadline = time.monotonic() + 30
    while call(studio, "status", first).json()["data"][0]["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert call(studio, "status", first).json()["data"][0]["status"] == "cancelled"
    assert call(studio, "cancel", first).json()["data"] == [False]
    assert call(studio, "status", "nobody").json()["error"] == "There is no job 'nobody' here."


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"prompt": "x", "num_frames": 6}, "num_frames: 6 is not 4n+1. Try 5 or 9."),
        ({"prompt": " "}, "prompt: the prompt is empty."),
        ({"prompt": "x", "model": "another"}, "model: 'another' is not a model"),
        ({"prompt": "x", "home": "/tmp"}, "home: '/tmp' is refused"),
        ({"prompt": "x", "image": "../../store.sqlite"}, "image: '../../store.sqlite' is refused"),
        ({"prompt": "x", "loras": [{"file": "../a.safetensors"}]}, "is no name of a LoRA"),
        ({"prompt": "x", "model": ["demo"]}, "is not a model of this studio"),
        ("a prompt", "request: 'a prompt' is no object."),
        (None, "request: 'None' is no object."),
    ],
)
def test_what_is_wrong_is_one_sentence(studio: Studio, request_: Any, words: str) -> None:
    assert words in refusal(studio, request_)


def test_files_come_by_upload_only(studio: Studio, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes((ROOT / "assets" / "examples" / "circle-first.png").read_bytes())
    Path(get_upload_folder()).mkdir(parents=True, exist_ok=True)
    detour = f"{get_upload_folder()}/../{tmp_path.name}/secret.png"
    request = {"prompt": "x", "model": "demo-image"}
    for given in (str(secret), detour, "\0", None, 3, {}):
        words = refusal(studio, request, {"image": {"path": given}})
        assert "is no file that was uploaded here; upload it first." in words, given
    for address in ("http://127.0.0.1:1/a.png", "file:///etc/passwd", "//127.0.0.1/a.png"):
        fetched = {"path": address, "meta": {"_type": "gradio.FileData"}}
        assert refusal(studio, request, {"image": fetched}).startswith("data[1].image.path: it is an address")
    forged = call(studio, "generate", request, {"image": {**fetched, "path": str(secret)}})
    assert (forged.status_code, str(secret) in forged.text) == (400, False)
    assert forged.json()["error"].startswith("data: a value is not what is asked for there")
    assert "takes no file" in refusal(studio, request, {"prompt": {"path": str(secret)}})
    assert "is one file" in refusal(studio, request, {"image": [{"path": str(secret)}]})
    assert "is no object" in refusal(studio, request, [1])
    (path,) = httpx.post(
        f"{studio.address}gradio_api/upload", files={"files": ("a.png", b"no picture", "image/png")}
    ).json()
    assert "a.png" in refusal(studio, request, {"image": {"path": path}})


def test_the_schema_names_every_field_of_a_request() -> None:
    fields, files = request_schema()["properties"], FILES_SCHEMA["properties"]
    assert set(fields) | set(files) == set(GenerationRequest.model_fields)
    assert set(files) == MEDIA_FIELDS
    assert all(field["description"] for field in [*fields.values(), *files.values()])
    steps = {name: fields["num_inference_steps"][name] for name in ("type", "minimum", "maximum")}
    assert steps == {"type": "integer", "minimum": 1, "maximum": 200}
    assert fields["scheduler"]["enum"][:4] == ["unipc", "dpm++", "euler", "lcm"]
    assert fields["kept_frames"]["items"] == {"type": "integer"}
    assert fields["region"]["items"] == {"type": "number"}
    assert fields["embed_metadata"] | {"description": "", "title": ""} == {
        "type": "boolean",
        "default": True,
        "description": "",
        "title": "",
    }


def test_the_page_about_the_api_shows_these_four(studio: Studio, open_page: OpenPage) -> None:
    page = open_page(studio.address)
    page.get_by_role("button", name="Use via API").click()
    docs = page.locator(".api-docs")
    expect(docs).to_contain_text("4 API endpoints", timeout=30_000)
    expect(docs).to_contain_text("a red circle moving right")
    for name in ("/generate", "/status", "/cancel", "/result"):
        expect(docs).to_contain_text(name)


def test_mcp_is_never_served_behind_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://127.0.0.1:7860/"
    monkeypatch.setattr("ui.serving.server.find_spec", lambda name: object())
    assert serves_mcp(Access())
    assert mcp_words(Access(), address).endswith("7860/gradio_api/mcp/")
    assert not serves_mcp(Access(login=("ann", "secret")))
    assert mcp_words(Access(login=("ann", "secret")), address) == "MCP is off, as a login is set."
    monkeypatch.setattr("ui.serving.server.find_spec", lambda name: None)
    assert not serves_mcp(Access())
    assert "pip install 'mcp<2'" in mcp_words(Access(), address)

"""Who may see the page, and what its process holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

import app
from tests.ui.conftest import Studio
from ui.serving.access import USER, Access, secured
from ui.serving.gate import Gate
from ui.serving.house import House
from ui.serving.limits import LIMITS, MAX_BODY, MAX_UPLOAD
from wan_core.schema import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_page_for_this_machine_needs_no_login(host: str) -> None:
    assert secured(Access(host)).login is None


@pytest.mark.parametrize(
    "access", [Access(share=True), Access("0.0.0.0"), Access("::"), Access("studio.lan")]
)
def test_a_page_for_others_gets_a_fresh_password(access: Access) -> None:
    (user, first), (_, second) = secured(access).login, secured(access).login
    assert user == USER
    assert len(first) >= 16
    assert first != second


def test_a_given_login_is_kept() -> None:
    assert secured(Access(share=True, login=("ann", "secret"))).login == ("ann", "secret")


@pytest.mark.parametrize("text", ["ann", ":secret", "ann:", ""])
def test_half_a_login_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        app.parse_arguments(["--auth", text])
    assert "write it as USER:PASS" in capsys.readouterr().err


def test_a_password_may_hold_a_colon() -> None:
    assert app.parse_arguments(["--auth", "ann:a:b"]).auth == ("ann", "a:b")


def test_the_page_process_never_imports_torch() -> None:
    heavy = ("torch", "transformers", "safetensors")
    code = f"import sys, app, ui.studio, ui.serving.server; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_only_outputs_previews_and_inputs_are_served(studio: Studio) -> None:
    settings = studio.context.settings
    (settings.home / "hidden.txt").write_text("hidden")
    base = f"{studio.address}gradio_api/file="
    for folder in (settings.outputs_dir, settings.previews_dir, settings.inputs_dir):
        (folder / "seen.txt").write_text("seen")
        assert httpx.get(f"{base}{folder}/seen.txt").text == "seen"
    refused = [
        settings.home / "hidden.txt",
        settings.store_path,
        settings.outputs_dir / ".." / "hidden.txt",
        ROOT / "app.py",
        Path("/etc/passwd"),
    ]
    for path in refused:
        assert httpx.get(f"{base}{path}").status_code == 403, path


def test_four_endpoints_are_public_and_nothing_else(studio: Studio) -> None:
    info = httpx.get(f"{studio.address}gradio_api/info").json()
    assert set(info["named_endpoints"]) == {"/generate", "/status", "/cancel", "/result"}
    assert info["unnamed_endpoints"] == {}
    paths = httpx.get(f"{studio.address}gradio_api/openapi.json").json()["paths"]
    names = {path.rsplit("/", 1)[-1] for path in paths}
    assert names == {"generate", "status", "cancel", "result", "upload", "{event_id}"}, names


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("config", {}, 200),
        ("config", {"host": "evil.example"}, 421),
        ("config", {"host": "localhost.evil.example:7860"}, 421),
        ("config", {"origin": "http://evil.example"}, 403),
        ("config", {"origin": "null"}, 403),
        ("gradio_api/upload", {"origin": "http://evil.example"}, 403),
        ("gradio_api/upload", {}, 404),  # only POST is known
        ("gradio_api/process_recording", {}, 404),
        ("gradio_api/queue/status", {}, 404),
        ("monitoring", {}, 404),
        ("openapi.json", {}, 404),
        ("gradio_api/proxy=http://127.0.0.1/", {}, 404),
        ("gradio_api/file=http://127.0.0.1/", {}, 404),
        ("gradio_api/component_server", {}, 404),
    ],
)
def test_the_gate_closes_what_nobody_needs(
    studio: Studio, path: str, headers: dict[str, str], status: int
) -> None:
    assert httpx.get(studio.address + path, headers=headers).status_code == status


def test_the_gate_lets_the_page_itself_in(studio: Studio) -> None:
    own = studio.address.rstrip("/")
    answer = httpx.get(f"{own}/config", headers={"origin": own})
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "object-src 'none'" in answer.headers["content-security-policy"]


def test_a_body_too_large_is_refused_before_it_is_read(studio: Studio) -> None:
    url, body = f"{studio.address}gradio_api/run/predict", b" " * (MAX_BODY + 1)
    assert httpx.post(url, content=body).status_code == 413
    assert httpx.post(url, content=iter([body])).status_code == 411  # of unknown length


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("page")(scope, receive, send)


def gated(access: Access, home: Path, host: str) -> TestClient:
    """A client of a page behind the gate, asked for under ``host``."""
    return TestClient(Gate(page, House(access, home, home / "cache")), base_url=f"http://{host}")


@pytest.mark.parametrize(
    ("access", "host", "status"),
    [
        (Access(), "127.0.0.1:7860", 200),
        (Access(), "localhost:7860", 200),
        (Access(), "192.168.1.7:7860", 421),
        (Access(), "evil.example", 421),
        (Access("0.0.0.0"), "192.168.1.7:7860", 200),
        (Access("0.0.0.0"), "evil.example", 421),
        (Access("0.0.0.0", names=("studio.example",)), "studio.example", 200),
        (Access("0.0.0.0", names=("studio.example",)), "studio.example.evil.example", 421),
        (Access("studio.lan"), "studio.lan:7860", 200),
    ],
)
def test_only_names_of_this_machine_are_answered(
    tmp_path: Path, access: Access, host: str, status: int
) -> None:
    assert gated(access, tmp_path, host).get("/").status_code == status


def test_the_host_of_a_share_link_is_answered_once_it_is_open(tmp_path: Path) -> None:
    house = House(Access(share=True), tmp_path, tmp_path / "cache")
    client = TestClient(Gate(page, house), base_url="https://abc.gradio.live")
    assert client.get("/").status_code == 421
    house.names.add("https://abc.gradio.live")
    assert client.get("/", headers={"origin": "https://abc.gradio.live"}).text == "page"
    assert client.get("/", headers={"origin": "https://abd.gradio.live"}).status_code == 403


def test_a_share_page_takes_no_uploads_from_other_sites(tmp_path: Path) -> None:
    client = gated(Access("0.0.0.0"), tmp_path, "10.0.0.1")
    assert client.post("/gradio_api/upload", headers={"origin": "http://10.0.0.1"}).text == "page"
    for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert client.post("/gradio_api/upload", headers=foreign).status_code == 403


def test_only_an_upload_may_be_as_large_as_a_video(tmp_path: Path) -> None:
    local, public = gated(Access(), tmp_path, "localhost"), gated(Access(public=True), tmp_path, "localhost")

    def status(client: TestClient, path: str, length: int) -> int:
        return client.post(path, headers={"content-length": str(length)}).status_code

    assert status(local, "/gradio_api/upload", MAX_BODY + 1) == 200
    assert status(local, "/gradio_api/upload", MAX_UPLOAD) == 200
    assert status(local, "/gradio_api/upload", MAX_UPLOAD + 1) == 413
    assert status(local, "/gradio_api/run/predict", MAX_BODY + 1) == 413
    assert LIMITS["public"].upload < MAX_UPLOAD and LIMITS["public"].body == 2**18
    assert status(public, "/gradio_api/upload", LIMITS["public"].upload + 1) == 413
    assert status(public, "/gradio_api/run/predict", LIMITS["public"].body + 1) == 413


def test_a_picture_is_uploaded_and_lies_in_the_cache(studio: Studio) -> None:
    answer = httpx.post(f"{studio.address}gradio_api/upload", files={"files": ("a.png", b"png", "image/png")})
    assert answer.status_code == 200
    assert Path(answer.json()[0]).read_bytes() == b"png"


def test_a_home_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    Settings(home=tmp_path).store_path.mkdir()
    run = subprocess.run(
        [sys.executable, "app.py", "--home", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert str(Settings(home=tmp_path).store_path) in run.stderr

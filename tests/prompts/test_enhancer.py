"""Prompts written out: by an endpoint of this machine, and by a tiny model in its own process."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prompts.language_models import Endpoint, save_tiny_model, serve_endpoint
from wan_core.prompts import local_model
from wan_core.prompts.enhancer import Enhancer
from wan_core.prompts.enhancer_settings import KeptEnhancer
from wan_core.prompts.instructions import messages_for, tidy_answer
from wan_core.prompts.local_model import find_folder, offered
from wan_core.schema import EnhancementFailed, InvalidRequest

KEY = "sk-very-secret"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def enhancer(tmp_path: Path, endpoint: Endpoint) -> Enhancer:
    enhancer = Enhancer(tmp_path / "home")
    enhancer.kept.change(
        {"kind": "endpoint", "url": endpoint.url, "endpoint_model": "tiny", "key": KEY, "seconds": 5}
    )
    return enhancer


def test_it_is_off_until_somebody_says_otherwise(tmp_path: Path) -> None:
    with pytest.raises(EnhancementFailed, match="Nothing is set"):
        Enhancer(tmp_path).enhance("a fox")
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_is_asked_as_openai_is(enhancer: Enhancer, endpoint: Endpoint) -> None:
    assert enhancer.enhance(" a fox ") == endpoint.text
    ((path, headers, content),) = endpoint.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert content["model"] == "tiny" and content["stream"] is False
    assert content["messages"][1] == {"role": "user", "content": "a fox"}
    assert "given picture" not in content["messages"][0]["content"]
    enhancer.enhance("a fox", has_picture=True)
    assert "given picture" in endpoint.asked[1][2]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (401, b"{}", "refuses the key; enter it again in Settings."),
        (404, b"", "has no such address or model"),
        (500, b"boom", "answered with error 500; try again later."),
        (302, b"", "sends elsewhere; enter the final address in Settings."),
        (200, b"<html>", "answers in another form than OpenAI"),
        (200, b'{"choices": []}', "answers in another form than OpenAI"),
        (200, b"[" * 100_000, "answers in another form than OpenAI"),
        (200, b'{"choices": [{"message": {"content": null}}]}', "wrote nothing"),
        (200, b" " * (2**20 + 1), "answers with more than a prompt"),
    ],
)
def test_what_an_endpoint_does_wrong_is_one_sentence(
    enhancer: Enhancer, endpoint: Endpoint, status: int, body: bytes, complaint: str
) -> None:
    endpoint.status, endpoint.body = status, body
    endpoint.headers = {"location": "http://127.0.0.1:1/elsewhere"} if status == 302 else {}
    with pytest.raises(EnhancementFailed, match=complaint) as caught:
        enhancer.enhance("a fox")
    assert KEY not in str(caught.value)
    assert len(endpoint.asked) == 1


def test_an_endpoint_that_drips_or_is_not_there_costs_no_more_than_its_time(
    enhancer: Enhancer, endpoint: Endpoint
) -> None:
    enhancer.kept.change({"seconds": 1})
    endpoint.slow = 0.3
    start = time.monotonic()
    with pytest.raises(EnhancementFailed, match="did not answer in time"):
        enhancer.enhance("a fox")
    assert time.monotonic() - start < 2.5
    enhancer.kept.change({"url": "http://127.0.0.1:9"})
    with pytest.raises(EnhancementFailed, match=r"127\.0\.0\.1:9 cannot be reached"):
        enhancer.enhance("a fox")


def test_one_prompt_at_a_time(enhancer: Enhancer, endpoint: Endpoint) -> None:
    endpoint.slow = 0.004
    first = threading.Thread(target=enhancer.enhance, args=("a fox",))
    first.start()
    while not endpoint.asked:
        time.sleep(0.01)
    with pytest.raises(EnhancementFailed, match="being written out already"):
        enhancer.enhance("a cat")
    first.join()
    endpoint.slow = 0.0
    assert enhancer.enhance("a cat") == endpoint.text


def test_what_comes_after_a_stop_is_not_used(enhancer: Enhancer, endpoint: Endpoint, tmp_path: Path) -> None:
    def stop_soon() -> None:
        while enhancer._process is None and not endpoint.asked:
            time.sleep(0.01)
        enhancer.stop()

    folder = save_tiny_model(tmp_path / "model")
    endpoint.slow = 0.004
    for values in ({"kind": "endpoint"}, {"kind": "local", "local_model": str(folder), "seconds": 60}):
        enhancer.kept.change(values)
        endpoint.asked.clear()
        stopping = threading.Thread(target=stop_soon)
        stopping.start()
        with pytest.raises(EnhancementFailed, match="Stopped; the prompt stays"):
            enhancer.enhance("a fox")
        stopping.join()


def test_the_key_is_for_its_owner_and_its_host_alone(enhancer: Enhancer, tmp_path: Path) -> None:
    path = tmp_path / "home" / "enhancer.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["key"] == KEY
    assert KEY not in repr(enhancer.kept.current) + json.dumps(enhancer.kept.current.shown)
    assert enhancer.kept.current.shown["has_key"] is True
    path.chmod(0o644)
    again = KeptEnhancer(tmp_path / "home")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert again.current == enhancer.kept.current
    again.change({"endpoint_model": "other", "url": enhancer.kept.current.url + "/"})
    assert again.current.shown["has_key"] is True
    again.change({"url": "https://elsewhere.example/v1"})
    assert again.current.shown["has_key"] is False
    assert KEY not in path.read_text()


@pytest.mark.parametrize(
    "values",
    [
        {"url": "ftp://host/v1"},
        {"url": "file:///etc/passwd"},
        {"url": "//host"},
        {"url": "http://user:secret@host"},
        {"url": "http://host:port"},
        {"url": "http://a b"},
        {"url": "http://host?key=1"},
        {"kind": "remote"},
        {"key": "a\nb"},
        {"seconds": 0},
    ],
)
def test_settings_that_are_refused_change_nothing(enhancer: Enhancer, values: dict) -> None:
    before = enhancer.kept.current
    with pytest.raises(InvalidRequest) as caught:
        enhancer.kept.change(values)
    assert enhancer.kept.current == before and "secret" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": 3}', "[" * 50_000])
def test_a_damaged_file_switches_it_off(tmp_path: Path, content: str) -> None:
    (tmp_path / "enhancer.json").write_text(content)
    kept = KeptEnhancer(tmp_path)
    assert not kept.current.is_on
    assert kept.change({"kind": "local"}) == KeptEnhancer(tmp_path).current


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("  A fox.\n\nIt runs. ", "A fox. It runs."),
        ('<think>Hm,\n"red"?</think>\n\n"A fox."', "A fox."),
        ("**Prompt:** A fox", "A fox"),
        ("Enhanced prompt: “A fox.”", "A fox."),
        ("```\nA fox\n```", "A fox"),
        ("Here is your rewritten prompt: A fox", "A fox"),
        ('A fox says "no".', 'A fox says "no".'),
    ],
)
def test_an_answer_becomes_a_prompt(answer: str, prompt: str) -> None:
    assert tidy_answer(answer) == prompt


def test_no_idea_and_a_story_are_refused() -> None:
    for idea in ("  ", "a" * 9000):
        with pytest.raises(EnhancementFailed):
            messages_for(idea)
    with pytest.raises(EnhancementFailed, match="wrote nothing"):
        tidy_answer("<think>for ever")


def test_a_model_on_this_machine_writes_in_a_process_of_its_own(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    enhancer = Enhancer(tmp_path / "home")
    enhancer.kept.change({"kind": "local", "local_model": str(folder), "seconds": 120})
    words = enhancer.enhance("a fox").split()
    assert len(words) > 10
    assert all(len(word) == 1 or word.startswith("word") for word in words)
    (folder / "config.json").write_text('{"model_type": "none", "auto_map": {"AutoConfig": "evil.Evil"}}')
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(EnhancementFailed, match="model cannot be run as a language model"):
        enhancer.enhance("a fox")
    assert not (tmp_path / "ran").exists()
    enhancer.kept.change({"seconds": 1})
    with pytest.raises(EnhancementFailed, match="did not finish in 1 s"):
        enhancer.enhance("a fox")


def test_models_are_found_and_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "hub" / "models--a--writer" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(EnhancementFailed, match="a/writer holds no language model"):
        find_folder("a/writer", tmp_path / "hub")
    (snapshot / "model.safetensors").write_bytes(b"0" * 100)
    assert find_folder("a/writer", tmp_path / "hub") == snapshot
    assert offered(tmp_path / "hub") == ["a/writer"]
    for name in ("b/writer", "../a/writer", "nonsense"):
        with pytest.raises(EnhancementFailed, match="nothing is downloaded"):
            find_folder(name, tmp_path / "hub")
    monkeypatch.setattr(local_model, "_OVERHEAD", 2**60)
    with pytest.raises(EnhancementFailed, match=r"takes about 1073741824\.0 GiB of memory"):
        local_model.ask_local(snapshot, [], 1, lambda process: None)

"""Repositories without a known commit: what they were at first is what they are held to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.manager import fake_hub
from tests.manager.fake_hub import FakeHub
from tests.manager.test_download import quiet
from wan_core.catalog import ModelSpec, find_model
from wan_core.manager import first_seen
from wan_core.manager.verify import verify
from wan_core.manager.weights import WeightStore
from wan_core.schema import DownloadError, Settings

FIRST, NEWER = fake_hub.COMMIT, "f" * 40


@pytest.fixture
def store(settings: Settings, hub: FakeHub, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, endpoint=hub.url, hub_cache=tmp_path / "cache")


def test_the_first_commit_is_kept_with_the_files(store: WeightStore, spec: ModelSpec, hub: FakeHub) -> None:
    folder = store.fetch(spec, quiet)
    seen = first_seen.recall(folder, "org/Model")
    assert seen.commit == FIRST and set(seen.etags) == set(hub.files)
    gets = [request.path for request in hub.requests if request.method == "GET"]
    assert gets and all(f"/resolve/{FIRST}/" in path for path in gets)
    assert [path for path in (request.path for request in hub.requests) if "/resolve/main/" in path] == [
        request.path for request in hub.requests[:1]
    ]


def test_what_is_missing_later_comes_from_the_same_commit(
    store: WeightStore, spec: ModelSpec, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.fetch(spec, quiet)
    (folder / "vae.pth").unlink()
    monkeypatch.setattr(fake_hub, "COMMIT", NEWER)
    hub.requests.clear()
    store.fetch(spec, quiet)
    assert {request.path for request in hub.requests} == {f"/org/Model/resolve/{FIRST}/vae.pth"}
    (folder / "vae.pth").unlink()
    hub.files["vae.pth"] = bytes(len(hub.files["vae.pth"]))  # other bytes at the very commit
    with pytest.raises(DownloadError, match="its digest differs"):
        store.fetch(spec, quiet)
    assert not (folder / "vae.pth").exists()


def test_checking_compares_with_what_was_seen_and_says_that_the_hub_moved(
    store: WeightStore, spec: ModelSpec, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.fetch(spec, quiet)
    verdict = verify(store, spec, quiet)
    assert (verdict.wrong, verdict.unknown, verdict.moved) == ((), (), ())
    monkeypatch.setattr(fake_hub, "COMMIT", NEWER)
    hub.files["vae.pth"] += b"more"
    verdict = verify(store, spec, quiet)
    assert (verdict.wrong, verdict.moved) == ((), ("org/Model",))
    (folder / "vae.pth").write_bytes(hub.files["vae.pth"])
    assert verify(store, spec, quiet).wrong == (folder / "vae.pth",)


def test_offline_the_note_alone_is_enough(
    store: WeightStore, spec: ModelSpec, hub: FakeHub, settings: Settings
) -> None:
    folder = store.fetch(spec, quiet)
    asked = len(hub.requests)
    offline = WeightStore(settings.model_copy(update={"offline": True}), endpoint=hub.url)
    verdict = verify(offline, spec, quiet)
    assert len(verdict.right) == len(hub.files) and not verdict.unknown and not verdict.moved
    damaged = folder / "t5.pth"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    assert verify(offline, spec, quiet).wrong == (damaged,)
    assert len(hub.requests) == asked


def test_where_nothing_is_left_it_begins_anew(
    store: WeightStore, spec: ModelSpec, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.fetch(spec, quiet)
    for name in hub.files:
        (folder / name).unlink()
    monkeypatch.setattr(fake_hub, "COMMIT", NEWER)
    store.fetch(spec, quiet)
    assert first_seen.recall(folder, "org/Model").commit == NEWER


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "[" * 100_000, '{"org/Model": 1}', '{"org/Model": {"commit": "main"}}']
)
def test_a_damaged_note_is_none(store: WeightStore, spec: ModelSpec, tmp_path: Path, content: str) -> None:
    folder = store.folder(spec)
    folder.mkdir(parents=True)
    (folder / first_seen.NAME).write_text(content)
    assert first_seen.recall(folder, "org/Model") == first_seen.FirstSeen()
    store.fetch(spec, quiet)
    assert json.loads((folder / first_seen.NAME).read_text())["org/Model"]["commit"] == FIRST


def test_a_commit_of_the_catalog_needs_no_note() -> None:
    assert not first_seen.is_loose(find_model("wan2.1-t2v-1.3b").revision)
    first_seen.note(Path("/nowhere"), "org/Model", "main", {})  # no commit: nothing is written

"""Small models beside the video models: fetched once, found again."""

from __future__ import annotations

from pathlib import Path

from tests.manager.fake_hub import FakeHub
from wan_core.catalog import WeightFiles
from wan_core.manager.weights import WeightStore
from wan_core.schema import ProgressEvent, Settings, Stage

FILES = WeightFiles(("dit.safetensors", "vae.pth"), 105_400, repo="org/Model", revision="main")


def test_a_helper_is_fetched_once(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    store = WeightStore(settings, endpoint=hub.url, hub_cache=tmp_path / "cache")
    heard: list[ProgressEvent] = []
    folder = store.helper(FILES, heard.append)
    assert folder == settings.models_dir / "Model"
    assert all((folder / name).read_bytes() == hub.files[name] for name in FILES.files)
    assert {event.stage for event in heard} == {Stage.DOWNLOAD}
    asked = len(hub.requests)
    assert store.helper(FILES, heard.append) == folder
    assert len(hub.requests) == asked


def test_a_helper_of_the_hub_cache_is_used(settings: Settings, tmp_path: Path) -> None:
    snapshot = tmp_path / "cache" / "models--org--Model" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    for name in FILES.files:
        (snapshot / name).write_bytes(b"x")
    assert WeightStore(settings, hub_cache=tmp_path / "cache").helper(FILES, lambda event: None) == snapshot

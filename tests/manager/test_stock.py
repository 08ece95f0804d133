"""What is on the machine, and what deleting a model takes away: never more than its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.manager.fake_hub import FakeHub
from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles
from wan_core.manager.found_file import FoundFile
from wan_core.manager.stock import delete, key_of, plan_deletion, take_stock
from wan_core.manager.weights import WeightStore, model_parts
from wan_core.schema import Settings

BIG = WeightFiles(("big.safetensors",), 5000)


@pytest.fixture
def store(settings: Settings, hub: FakeHub, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, endpoint=hub.url, hub_cache=tmp_path / "cache")


@pytest.fixture(autouse=True)
def catalog(spec: ModelSpec, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog is ``small`` and ``big``, which differ in their transformers only."""
    hub.files["big.safetensors"] = b"big" * 2000
    big = replace(spec, id="big", title="Big", weights={**spec.weights, Role.TRANSFORMER: BIG})
    monkeypatch.setattr("wan_core.manager.stock.MODELS", {"small": spec, "big": big})
    monkeypatch.setattr("wan_core.manager.weights.MODELS", {"small": spec, "big": big})
    monkeypatch.setitem(MODELS, "big", big)


def fetch(store: WeightStore, *specs: ModelSpec) -> None:
    for spec in specs:
        store.fetch(spec, lambda event: None)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_here_at_first(store, spec) -> None:
    stock = take_stock(store)
    assert [model.id for model in stock.models()] == ["small", "big"]
    assert stock.bytes == 0
    assert stock.missing(spec) == spec.download_bytes
    assert stock.common() == []
    assert not stock.has_begun(spec) and not stock.is_here(spec)


def test_what_models_share_is_there_once(store, spec, hub) -> None:
    fetch(store, spec)
    big = MODELS["big"]
    stock = take_stock(store)
    assert stock.is_here(spec) and not stock.is_here(big)
    assert stock.has_begun(spec) and not stock.has_begun(big), "what is merely shared is no beginning"
    assert stock.missing(big) == BIG.size
    assert {holding.part for holding in stock.common()} == {"tokenizer", Role.TEXT_ENCODER, Role.VAE}
    assert stock.bytes == sum(len(hub.files[name]) for name in hub.files if name != "big.safetensors")


def test_an_unfinished_download_counts_with_what_it_has(store, spec, settings) -> None:
    folder = settings.models_dir / "Model"
    folder.mkdir(parents=True)
    (folder / "dit.safetensors.abc.part").write_bytes(b"x" * 1000)
    stock = take_stock(store)
    assert stock.has_begun(spec)
    assert stock.missing(spec) == spec.download_bytes - 1000
    deletion = plan_deletion(store, spec, settings.models_dir)
    delete(deletion, settings.models_dir)
    assert deletion.bytes == 1000
    assert not folder.exists()


def test_the_only_model_goes_as_a_whole(store, spec, settings) -> None:
    fetch(store, spec)
    deletion = plan_deletion(store, spec, settings.models_dir)
    assert deletion.bytes == spec.download_bytes
    assert (deletion.kept, deletion.elsewhere) == ({}, {})
    delete(deletion, settings.models_dir)
    assert names(settings.models_dir) == set()
    assert take_stock(store).bytes == 0


def test_what_another_model_needs_stays_and_is_said(store, spec, settings) -> None:
    big = MODELS["big"]
    fetch(store, spec, big)
    deletion = plan_deletion(store, spec, settings.models_dir)
    assert [path.name for path in deletion.files] == ["dit.safetensors"]
    assert set(deletion.kept) == set(model_parts(spec)) - {Role.TRANSFORMER}
    assert {other.id for others in deletion.kept.values() for other in others} == {"big"}
    delete(deletion, settings.models_dir)
    stock = take_stock(store)
    assert stock.is_here(big) and not stock.has_begun(spec)
    delete(plan_deletion(store, big, settings.models_dir), settings.models_dir)
    assert names(settings.models_dir) == set(), "the last one takes the shared parts along"


def test_another_model_that_has_begun_keeps_what_it_needs(store, spec, settings) -> None:
    fetch(store, spec)
    (settings.models_dir / "Model" / "big.safetensors.abc.part").write_bytes(b"x")
    assert set(plan_deletion(store, spec, settings.models_dir).kept) == set(model_parts(spec)) - {
        Role.TRANSFORMER
    }


def test_a_transformer_of_two_models_stays_for_the_one_that_has_more(
    store, spec, settings, hub, monkeypatch
) -> None:
    extra = replace(
        spec, id="extra", weights={**spec.weights, Role.MOTION_CONTROLLER: WeightFiles(("m.safetensors",), 9)}
    )
    rows = {"small": spec, "extra": extra}
    monkeypatch.setattr("wan_core.manager.stock.MODELS", rows)
    monkeypatch.setattr("wan_core.manager.weights.MODELS", rows)
    fetch(store, spec)
    assert plan_deletion(store, spec, settings.models_dir).kept == {}
    (settings.models_dir / "Model" / "m.safetensors").write_bytes(b"motion")
    kept = plan_deletion(store, spec, settings.models_dir).kept
    assert [other.id for other in kept[Role.TRANSFORMER]] == ["extra"]


def test_nothing_outside_the_models_folder_is_ever_deleted(store, spec, settings, hub, tmp_path) -> None:
    snapshot = tmp_path / "cache" / "models--org--Model" / "snapshots" / "main"
    elsewhere, folder = tmp_path / "elsewhere", settings.models_dir / "Model"
    for name, where in (("t5.pth", snapshot), ("dit.safetensors", folder), ("vae.pth", elsewhere)):
        where.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(hub.files[name])
    (folder / "vae.pth").symlink_to(elsewhere / "vae.pth")
    deletion = plan_deletion(store, spec, settings.models_dir)
    assert [path.name for path in deletion.files] == ["dit.safetensors"]
    assert deletion.elsewhere == {Role.TEXT_ENCODER: snapshot, Role.VAE: folder}
    delete(deletion, settings.models_dir)
    assert (snapshot / "t5.pth").exists() and (elsewhere / "vae.pth").exists()
    assert names(settings.models_dir) == {"Model/vae.pth"}


def test_a_models_folder_that_is_a_link_is_left_alone(store, spec, settings, tmp_path) -> None:
    fetch(store, spec)
    folder, target = settings.models_dir / "Model", tmp_path / "disk"
    folder.rename(target)
    folder.symlink_to(target)
    deletion = plan_deletion(store, spec, settings.models_dir)
    assert deletion.files == ()
    assert set(deletion.elsewhere) == set(model_parts(spec))


def test_files_of_others_stay_beside_a_deleted_model(store, spec, settings) -> None:
    fetch(store, spec)
    mine = settings.models_dir / "Model" / "my-notes.txt"
    mine.write_text("mine")
    delete(plan_deletion(store, spec, settings.models_dir), settings.models_dir)
    assert mine.read_text() == "mine"


def test_a_damaged_index_is_told_and_hides_nothing_else(store, spec, settings, monkeypatch) -> None:
    sharded = replace(
        spec,
        weights={**spec.weights, Role.TRANSFORMER: WeightFiles(("dit.safetensors.index.json",), 10_000)},
    )
    monkeypatch.setattr("wan_core.manager.stock.MODELS", {"small": sharded})
    folder = settings.models_dir / "Model"
    folder.mkdir(parents=True)
    (folder / "dit.safetensors.index.json").write_text("{")
    (folder / "vae.pth").write_bytes(b"vae")
    stock = take_stock(store)
    problems = {holding.part: holding.problem for holding in stock.of(sharded)}
    assert "is no index" in problems[Role.TRANSFORMER]
    assert not problems[Role.VAE]
    deletion = plan_deletion(store, sharded, settings.models_dir)
    assert {path.name for path in deletion.files} == {"dit.safetensors.index.json", "vae.pth"}


def test_parts_with_the_same_digests_are_the_same(spec) -> None:
    one = replace(spec, weights={Role.VAE: WeightFiles(("v.pth",), 1, ("ab",), "org/A")})
    other = replace(spec, weights={Role.VAE: WeightFiles(("v.pth",), 1, ("ab",), "org/B")})
    third = replace(spec, weights={Role.VAE: WeightFiles(("v.pth",), 1, ("cd",), "org/A")})
    assert key_of(one, Role.VAE) == key_of(other, Role.VAE) != key_of(third, Role.VAE)


def test_a_file_of_ones_own_stands_in_and_is_never_deleted(
    store, spec, settings, tmp_path, monkeypatch
) -> None:
    fetch(store, spec)
    mine = tmp_path / "mine" / "umt5.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(b"own")
    (settings.models_dir / "Model" / "t5.pth").unlink()
    found = FoundFile("umt5.safetensors", (mine,), 3, role=Role.TEXT_ENCODER, models=("small", "big"))
    monkeypatch.setattr(store.library, "files", lambda: (found,))
    monkeypatch.setattr(FoundFile, "stands_for", lambda self, spec, role: role is self.role)
    stock = take_stock(store)
    assert stock.is_here(spec)
    assert [holding.folder for holding in stock.of(spec) if holding.is_own] == [mine.parent]
    assert stock.others(store) == [found]
    deletion = plan_deletion(store, spec, settings.models_dir)
    assert deletion.elsewhere == {Role.TEXT_ENCODER: mine.parent}
    delete(deletion, settings.models_dir)
    assert mine.read_bytes() == b"own"


def test_the_official_files_are_no_other_checkpoints(store, spec, settings) -> None:
    fetch(store, spec)
    assert [found.name for found in take_stock(store).others(store)] == []

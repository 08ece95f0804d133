"""Where files are looked for, in which order, and what is said when they are nowhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from wan_core.catalog import MODELS, Role, WeightFiles, find_model
from wan_core.manager import weights
from wan_core.manager.shards import shard_names
from wan_core.manager.weights import WeightStore, model_parts
from wan_core.schema import Settings, WeightsError

SMALL = find_model("wan2.1-t2v-1.3b")
LARGE = find_model("wan2.1-t2v-14b")
OTHER_COMMIT = "f" * 40


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, hub_cache=tmp_path / "cache")


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")
    return folder


def snapshot(tmp_path: Path, repo: str, commit: str) -> Path:
    return tmp_path / "cache" / f"models--{repo.replace('/', '--')}" / "snapshots" / commit


def test_the_order_is_local_folder_then_hub_cache(store, settings, tmp_path):
    vae = SMALL.weights[Role.VAE].files[0]
    assert store.locate(SMALL, Role.VAE) is None
    other = put(snapshot(tmp_path, SMALL.repo, OTHER_COMMIT), vae)
    assert store.locate(SMALL, Role.VAE) == other
    pinned = put(snapshot(tmp_path, SMALL.repo, SMALL.revision), vae)
    assert store.locate(SMALL, Role.VAE) == pinned
    local = put(settings.models_dir / "Wan2.1-T2V-1.3B", vae)
    assert store.locate(SMALL, Role.VAE) == local


def test_main_of_the_hub_cache_goes_before_other_commits(store, tmp_path):
    vae = SMALL.weights[Role.VAE].files[0]
    for commit in ("a" * 40, "b" * 40):
        put(snapshot(tmp_path, SMALL.repo, commit), vae)
    refs = snapshot(tmp_path, SMALL.repo, "b" * 40).parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("b" * 40)
    assert store.locate(SMALL, Role.VAE).name == "b" * 40


def test_models_share_equal_parts_but_no_others(store, settings):
    large = settings.models_dir / "Wan2.1-T2V-14B"
    put(large, "Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth", "diffusion_pytorch_model.safetensors")
    assert store.locate(SMALL, Role.VAE) == large
    assert store.locate(SMALL, Role.TEXT_ENCODER) == large
    assert store.locate(SMALL, Role.TRANSFORMER) is None
    assert set(store.missing(SMALL)) == {Role.TRANSFORMER, "tokenizer"}


def test_equal_names_and_sizes_without_a_digest_are_not_shared(store, settings):
    one = WeightFiles(("d.safetensors.index.json",), 10)
    shared = MODELS | {}
    for number, repo in enumerate(("org/480P", "org/720P", "org/480P")):
        row = replace(SMALL, id=f"row-{number}", repo=repo, weights={Role.TRANSFORMER: one})
        shared[row.id] = row
    folder = settings.models_dir / "480P"
    put(folder, "d-1.safetensors")
    (folder / one.files[0]).write_text('{"weight_map": {"a": "d-1.safetensors"}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "MODELS", shared)
        assert store.locate(shared["row-0"], Role.TRANSFORMER) == folder
        assert store.locate(shared["row-2"], Role.TRANSFORMER) == folder
        assert store.locate(shared["row-1"], Role.TRANSFORMER) is None


def test_a_part_of_another_repository_lies_in_that_repositorys_folder(store, settings, tmp_path):
    base = replace(SMALL.weights[Role.TRANSFORMER], repo=SMALL.repo, revision=SMALL.revision)
    extra = WeightFiles(("model.safetensors",), 5)
    row = replace(
        SMALL,
        id="steered",
        repo="org/Steered",
        revision="main",
        weights={**SMALL.weights, Role.TRANSFORMER: base, Role.MOTION_CONTROLLER: extra},
    )
    assert store.folder(row) == settings.models_dir / "Steered"
    assert store.folder(row, Role.TRANSFORMER) == settings.models_dir / "Wan2.1-T2V-1.3B"
    assert store.missing(row)[Role.MOTION_CONTROLLER] == 5
    pinned = put(snapshot(tmp_path, SMALL.repo, SMALL.revision), *base.files)
    assert store.locate(row, Role.TRANSFORMER) == pinned
    local = put(settings.models_dir / "Wan2.1-T2V-1.3B", *base.files, "Wan2.1_VAE.pth")
    assert store.locate(row, Role.TRANSFORMER) == store.locate(row, Role.VAE) == local
    assert store.locate(row, Role.MOTION_CONTROLLER) is None
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors in .*/models/Steered; download it"):
        store.require(row, Role.MOTION_CONTROLLER)


def test_empty_and_partial_files_do_not_count(store, settings):
    folder = settings.models_dir / "Wan2.1-T2V-1.3B"
    name = SMALL.weights[Role.VAE].files[0]
    put(folder, f"{name}.0123456789abcdef.part")
    (folder / name).touch()
    assert store.locate(SMALL, Role.VAE) is None


def test_missing_counts_only_what_is_still_to_come(store, settings):
    folder = settings.models_dir / "Wan2.1-T2V-1.3B"
    assert sum(store.missing(SMALL).values()) == SMALL.download_bytes
    put(folder, "Wan2.1_VAE.pth.0123456789abcdef.part")
    assert store.missing(SMALL)[Role.VAE] == 507_609_880 - 1


def test_a_part_that_is_nowhere_says_how_to_get_it(store, settings):
    with pytest.raises(WeightsError) as caught:
        store.require(SMALL, Role.VAE)
    assert str(caught.value) == (
        f"Wan2.1 T2V 1.3B lacks Wan2.1_VAE.pth in {settings.models_dir}/Wan2.1-T2V-1.3B; "
        "download it with `python -m wan_core models download wan2.1-t2v-1.3b`."
    )


def test_a_built_in_model_lies_only_in_its_folder(store, tmp_path):
    built_in = replace(find_model("demo"), folder=put(tmp_path / "demo", "Wan2.1_VAE.pth"))
    assert store.locate(built_in, Role.VAE) == tmp_path / "demo"
    with pytest.raises(WeightsError, match="install Wan Studio again"):
        store.fetch(built_in, lambda event: None)


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../a.safetensors"}}',
        '{"weight_map": {"a": "/etc/passwd"}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_index_is_named(tmp_path, text):
    index = tmp_path / "d.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(WeightsError, match=r"d\.safetensors\.index\.json is no index .* download the model"):
        shard_names(index)


def test_the_catalog_states_a_commit_and_digests_of_the_large_files():
    for spec in (SMALL, LARGE):
        assert len(spec.revision) == 40
        for part, files in model_parts(spec).items():
            known = [digest for digest in files.digests().values() if digest]
            assert all(len(digest) == 64 for digest in known)
            assert known or (spec.id, part) == (LARGE.id, Role.TRANSFORMER)
    assert SMALL.weights[Role.VAE] is LARGE.weights[Role.VAE]
    assert SMALL.download_bytes == 17_567_054_803
    assert WeightFiles(("a", "b"), 1).digests() == {"a": "", "b": ""}
    assert {"demo", SMALL.id, LARGE.id} <= set(MODELS)


def test_nothing_here_imports_torch():
    code = "import sys, wan_core.manager.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

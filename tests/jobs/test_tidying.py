from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.conftest import request
from wan_core.jobs.job import JobStatus
from wan_core.jobs.store import JobStore
from wan_core.jobs.tidying import named_inputs, tidy_inputs
from wan_core.media import inputs as inputs_module
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationResult, Settings
from wan_core.schema.inputs import MEDIA_FIELDS

VIDEO, MASK, OTHER = (f"{digit * 32}.mp4" for digit in "123")


def submit(store: JobStore, **media: str) -> str:
    return store.submit(request().model_copy(update={"task": "v2v", **media}))


def test_all_media_fields_count() -> None:
    for name in MEDIA_FIELDS:
        value = (VIDEO, OTHER) if name == "references" else VIDEO
        given = request().model_copy(update={name: value})
        assert given.named_files() == ({VIDEO, OTHER} if name == "references" else {VIDEO})
    assert request().named_files() == set()


def test_a_job_names_its_inputs_until_it_is_deleted(store: JobStore) -> None:
    assert named_inputs(store) == set()
    first, second = submit(store, video=VIDEO, mask=MASK), submit(store, video=VIDEO)
    assert named_inputs(store) == {VIDEO, MASK}
    store.claim()
    store.fail(first, "Broken.")
    store.cancel(second)
    assert {store.get(each).status for each in (first, second)} == {JobStatus.FAILED, JobStatus.CANCELLED}
    assert named_inputs(store) == {VIDEO, MASK}
    store.delete(first)
    assert named_inputs(store) == {VIDEO, MASK}  # as long as that can be undone
    store.purge(0.0)
    assert named_inputs(store) == {VIDEO}


def test_too_many_inputs_are_tidied(store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = InputStore(tmp_path / "inputs")
    inputs.folder.mkdir()
    for name in (VIDEO, OTHER):
        (inputs.folder / name).write_bytes(b"content")
    monkeypatch.setattr(inputs_module, "_FRESH_SECONDS", -1)
    submit(store, video=VIDEO)
    assert tidy_inputs(store, inputs) == []  # far from the limit
    limited = InputStore.prune
    monkeypatch.setattr(InputStore, "prune", lambda self, named: limited(self, named, limit=8))
    assert tidy_inputs(store, inputs) == [OTHER]
    assert inputs.path(VIDEO).is_file()


def test_how_far_a_job_had_come_is_kept_until_it_is_done_or_cancelled(
    store: JobStore, settings: Settings
) -> None:
    settings.latents_dir.mkdir()
    ids = {name: store.submit(request()) for name in ("done", "failed", "cancelled", "queued", "deleted")}
    for name in ("done", "failed"):
        store.claim()
        made = GenerationResult(
            video=settings.outputs_dir / "a.mp4", request=request(), seconds={}, peak_bytes=1, thumbnail=None
        )
        store.finish(ids[name], made) if name == "done" else store.fail(ids[name], "Broken.")
    store.cancel(ids["cancelled"])
    paths = {name: settings.checkpoint_path(each) for name, each in ids.items()}
    stranger = settings.checkpoint_path("of-the-command-line")
    for path in (*paths.values(), stranger):
        path.write_bytes(b"steps")
    store.delete(ids["deleted"])
    store.sweep_checkpoints()
    assert {name for name, path in paths.items() if path.exists()} == {"failed", "queued", "deleted"}
    store.purge(0.0)
    store.replace(ids["queued"], request("another"))
    assert {name for name, path in paths.items() if path.exists()} == {"failed"}
    assert stranger.exists()

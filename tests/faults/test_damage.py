"""A home whose files are flipped, cut or of a newer version: the studio starts, keeps them and says so."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.conftest import request
from tests.jobs.test_store import result_of
from tests.ui.conftest import make_context
from ui.studio import build
from wan_core.jobs.past import Search
from wan_core.jobs.store import JobStore
from wan_core.manager.kept_forms import keep_form, kept_forms
from wan_core.manager.kept_settings import KeptSettings
from wan_core.schema import Settings, StoreError

pytestmark = pytest.mark.faults

FLIPS, CUTS = 240, 40


def filled(path: Path) -> None:
    """A store with jobs of every status, closed and without a log of SQLite's beside it."""
    store = JobStore(path)
    for prompt in ("a fox", "一只猫", "x" * 500):
        store.submit(request(prompt))
        job = store.claim()
        store.finish(job.id, result_of(Settings(home=path.parent), job.id))
    failed = store.submit(request("b"))
    store.claim()
    store.fail(failed, "It failed; try again.")
    store.tag(failed, ["animals"])
    store.submit(request("waits"))
    store._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def use(store: JobStore) -> None:
    """What a page and a worker ask and write; a damaged place may be refused in a sentence."""
    for ask in (
        store.queue,
        store.counts,
        store.worker_status,
        store.tags,
        lambda: store.history(Search(words="fox"), 9),
        lambda: store.history(Search(tag="animals"), 9),
        lambda: list(store.requests()),
        store.results,
        lambda: store.submit(request("new")),
        store.claim,
        store.release_running,
        lambda: [job.elapsed for job in store.list()],
        lambda: store.estimate_seconds(request("new", num_inference_steps=5)),
    ):
        try:
            ask()
        except StoreError as error:
            assert str(error).count(".") >= 1


def damaged(path: Path, content: bytes) -> None:
    for beside in path.parent.glob("jobs.sqlite3*"):
        beside.unlink()
    path.write_bytes(content)


def test_a_flipped_byte_anywhere_never_keeps_the_studio_from_starting(settings: Settings) -> None:
    settings.home.mkdir()
    path, dice = settings.store_path, random.Random(7)
    filled(path)
    whole, kept = path.read_bytes(), 0
    for _ in range(FLIPS):
        content = bytearray(whole)
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        damaged(path, bytes(content))
        store = JobStore(path)
        use(store)
        store.close()
        bad = path.with_name(f"{path.name}.bad")
        assert bad.exists() == bool(store.notice)
        if bad.exists():
            kept += 1
            assert bad.name in store.notice and len(store.notice) < 300 and "\n" not in store.notice
    assert kept >= 5, "some flips are in places that matter"


def test_a_store_cut_anywhere_is_kept_and_another_one_started(settings: Settings) -> None:
    settings.home.mkdir()
    path, dice = settings.store_path, random.Random(8)
    filled(path)
    whole = path.read_bytes()
    for length in [99, 100, *(dice.randrange(200, len(whole) - 1) for _ in range(CUTS))]:
        damaged(path, whole[:length])
        store = JobStore(path)
        use(store)
        assert store.notice and path.with_name(f"{path.name}.bad").read_bytes()[:length] == whole[:length]
        store.close()


def test_a_log_of_sqlite_that_is_cut_or_flipped_does_no_harm(settings: Settings) -> None:
    store = JobStore(settings.store_path)
    done = store.submit(request("kept"))
    store._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.submit(request("in the log"))
    log = settings.store_path.with_name("jobs.sqlite3-wal")
    database, whole, dice = settings.store_path.read_bytes(), log.read_bytes(), random.Random(9)
    store.close()
    for number in range(40):
        content = bytearray(whole)
        content[dice.randrange(len(content))] ^= 0x10
        damaged(settings.store_path, database)
        log.write_bytes(bytes(content) if number % 2 else whole[: dice.randrange(len(whole))])
        again = JobStore(settings.store_path)
        use(again)
        assert again.notice or again.get(done) is not None
        again.close()


def wrong_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (wrong_version, "was written by a newer Wan Studio"),
        (lambda path: path.write_bytes(b"x" * 5000), "was damaged"),
    ],
)
def test_the_page_says_that_the_store_was_set_aside(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = Settings(home=tmp_path).store_path
    filled(path)
    spoil(path)
    context = make_context(tmp_path)
    config = json.dumps(build(context).get_config_file(), default=str)
    assert f"The job store {said}" in config and "jobs.sqlite3.bad" in config
    assert context.executor.submit(request())
    context.errands.stop()


def test_settings_and_forms_flipped_or_cut_anywhere_never_keep_the_studio_from_starting(
    settings: Settings,
) -> None:
    KeptSettings(settings).change({"vae_tile": 128, "model_folders": ["/models"]})
    keep_form(settings, "t2v", request("a fox"))
    paths = (settings.home / "settings.json", settings.home / "forms.json")
    wholes, dice = [path.read_bytes() for path in paths], random.Random(3)
    for number in range(300):
        for path, whole in zip(paths, wholes, strict=True):
            content = bytearray(whole)
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            path.write_bytes(bytes(content) if number % 2 else whole[: dice.randrange(len(whole))])
        spoiled = paths[0].read_bytes()
        kept = KeptSettings(settings)
        copies = [path.read_bytes() for path in settings.home.glob("settings.json*.bad")]
        assert bool(kept.notice) == bool(copies) and (not copies or copies == [spoiled])
        assert kept.change({"vae_tile": 256}).vae_tile == 256
        assert isinstance(kept_forms(settings), dict)
        keep_form(settings, "i2v", request("an owl"))
        assert kept_forms(settings)["i2v"]["prompt"] == "an owl"
        for path in settings.home.glob("*.bad"):
            path.unlink()

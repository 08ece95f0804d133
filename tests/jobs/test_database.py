import logging
import sqlite3
from pathlib import Path

import pytest

from tests.jobs.conftest import request
from wan_core.jobs.database import MIGRATIONS, Database
from wan_core.jobs.job import JobStatus
from wan_core.jobs.lock import HomeLock
from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationRequest, Settings, StoreError


def test_a_store_outlives_its_process(settings: Settings) -> None:
    first = JobStore(settings.store_path)
    job_id = first.submit(request())
    first.close()
    second = JobStore(settings.store_path)
    assert second.get(job_id).status is JobStatus.QUEUED
    assert second._database.connection().execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    second.close()


def test_a_newer_store_is_kept_aside_untouched(settings: Settings) -> None:
    with sqlite3.connect(settings.store_path) as connection:
        connection.execute("PRAGMA user_version = 999")
    fresh = JobStore(settings.store_path)
    assert fresh.submit(request())
    assert fresh.notice.startswith(
        "The job store was written by a newer Wan Studio (schema 999, this one knows"
    )
    with sqlite3.connect(settings.home / "jobs.sqlite3.bad") as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 999
    fresh.close()


def test_a_damaged_store_in_use_is_left_where_it_is(settings: Settings) -> None:
    settings.store_path.write_bytes(b"rubbish" * 500)
    lock = HomeLock(settings.home)
    lock.acquire()
    with pytest.raises(StoreError, match=r"jobs.sqlite3 was damaged .* Another Wan Studio .* is using"):
        JobStore(settings.store_path)
    assert not list(settings.home.glob("*.bad"))
    lock.release()
    JobStore(settings.store_path).close()
    assert list(settings.home.glob("*.bad"))


@pytest.mark.parametrize("content", [b"this is no database, and never was" * 100, None])
def test_a_damaged_store_is_kept_aside_and_a_fresh_one_started(
    settings: Settings, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = JobStore(settings.store_path)
    for _ in range(50):
        store.submit(request("x" * 1000))
    store._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    damaged = content or settings.store_path.read_bytes()[:30_000]
    settings.store_path.write_bytes(damaged)
    with caplog.at_level(logging.ERROR):
        fresh = JobStore(settings.store_path)
    assert fresh.list() == []
    assert fresh.submit(request())
    assert (settings.home / "jobs.sqlite3.bad").read_bytes() == damaged
    assert "jobs.sqlite3.bad" in caplog.text
    fresh.close()


@pytest.mark.parametrize("part", [b"cancel_requested", b"'failed'", b"jobs_by_status"])
def test_a_flipped_bit_in_the_schema_is_damage(settings: Settings, part: bytes) -> None:
    JobStore(settings.store_path).close()
    content = settings.store_path.read_bytes()
    for bit in (0x02, 0x80):
        settings.store_path.write_bytes(content.replace(part, bytes([part[0] ^ bit]) + part[1:]))
        fresh = JobStore(settings.store_path)
        assert fresh.submit(request())
        fresh.close()
    assert len(list(settings.home.glob("*.bad"))) == 2


def test_an_earlier_bad_copy_is_not_overwritten(settings: Settings) -> None:
    for number in range(2):
        settings.store_path.write_bytes(b"rubbish %d " % number * 500)
        JobStore(settings.store_path).close()
    kept = {path.name: path.read_bytes()[:9] for path in settings.home.glob("*.bad")}
    assert kept == {"jobs.sqlite3.bad": b"rubbish 0", "jobs.sqlite3.2.bad": b"rubbish 1"}


def test_a_home_that_cannot_be_written_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be opened .* check that its folder is writable"):
        JobStore(tmp_path / "file" / "jobs.sqlite3")


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.sqlite3")
    with pytest.raises(KeyError), database.transaction() as connection:
        connection.execute("UPDATE worker SET message = 'half'")
        raise KeyError
    assert database.connection().execute("SELECT message FROM worker").fetchone()[0] == ""
    assert database.connection().execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    database.close()


@pytest.mark.parametrize("text", ['{"prompt": "kept", "model": "demo", "gone": 1, "crf": 9999}', "{broken"])
def test_a_request_of_another_version_is_read_as_far_as_it_goes(store: JobStore, text: str) -> None:
    job_id = store.submit(request())
    store._database.connection().execute("UPDATE jobs SET request = ?", (text,))
    read = store.get(job_id).request
    assert read == GenerationRequest(prompt="kept" if "kept" in text else "")


def test_a_full_disk_refuses_in_words_and_keeps_what_is_there(store: JobStore) -> None:
    kept = store.submit(request())
    connection = store._database.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"disk is full.*free space"):
        store.submit(request("long " * 10_000))
    assert store.counts()[JobStatus.QUEUED] == 1
    connection.execute("PRAGMA max_page_count = 100000")
    added = store.submit(request("long " * 10_000))
    assert [job.id for job in store.queue()] == [kept, added]

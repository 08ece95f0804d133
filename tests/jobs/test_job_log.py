"""What a job that failed leaves for whoever wants to know why."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from tests.jobs.conftest import request, wait_for
from tests.jobs.test_store import result_of
from wan_core.jobs.executors import ProcessExecutor
from wan_core.jobs.job import JobStatus
from wan_core.jobs.job_log import written_down
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings


def test_a_failed_job_keeps_its_log_and_the_rest_runs_on(executor: ProcessExecutor) -> None:
    store = executor.store
    broken, killed, done = (executor.submit(request(prompt)) for prompt in ("bug", "die=KILL", "steps=2"))
    wait_for(lambda: store.get(done).status is JobStatus.DONE)
    assert store.get(broken).status is store.get(killed).status is JobStatus.FAILED
    log = store.get(broken).log.read_text(encoding="utf-8")
    assert '"prompt":"bug"' in log and "ZeroDivisionError: a secret path" in log
    assert '"prompt":"die=KILL"' in store.get(killed).log.read_text(encoding="utf-8")
    assert store.get(done).log is None
    wait_for(lambda: not store.log_path(done).exists())
    executor.retry(broken)
    wait_for(lambda: store.get(broken).status is JobStatus.FAILED)
    assert store.get(broken).log.read_text(encoding="utf-8").count("Request:") == 1  # of the last run
    store.delete(broken)
    store.purge(0.0)
    assert not store.log_path(broken).exists()


def test_a_log_holds_what_belongs_to_its_job(store: JobStore, settings: Settings, tmp_path: Path) -> None:
    job = store.get(store.submit(request()))
    path = tmp_path / "logs" / "a.log"
    logging.getLogger().setLevel(logging.INFO)
    with written_down(job, path):
        logging.getLogger("a.library").info("on our way")
        others = threading.Thread(target=lambda: logging.getLogger("web").info("a visitor"))
        ours = threading.Thread(target=lambda: logging.getLogger("wan_core.x").info("beside it"))
        for thread in (others, ours):
            thread.start()
            thread.join()
    logging.getLogger("a.library").info("afterwards")
    text = path.read_text(encoding="utf-8")
    assert "on our way" in text and "beside it" in text
    assert "a visitor" not in text and "afterwards" not in text


def test_a_disk_that_takes_no_log_lets_the_job_run(store: JobStore, settings: Settings) -> None:
    job = store.get(store.submit(request()))
    (settings.home / "logs").write_text("in the way")
    with written_down(job, store.log_path(job.id)):
        assert result_of(settings, job.id).video.is_file()

"""On a public page everybody has jobs of their own: whose id is known is still not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wan_core.jobs.job import JobStatus
from wan_core.jobs.past import Search
from wan_core.jobs.public_rules import PublicRules, TooMany
from wan_core.jobs.serving import Serving
from wan_core.jobs.store import JobStore
from wan_core.jobs.visitors import VISITOR, OwnJobs, SharedExecutor
from wan_core.schema import GenerationRequest, InvalidRequest, Settings

RULES = PublicRules(has=lambda spec: spec.id.startswith("demo"))


class Inline:
    """An executor of which only the store is used."""

    def __init__(self, store: JobStore) -> None:
        self.store = store


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(Settings(home=tmp_path).store_path)


@contextmanager
def asking(visitor: str) -> Iterator[None]:
    token = VISITOR.set(visitor)
    yield
    VISITOR.reset(token)


def wanted(prompt: str = "a red circle", **values: object) -> GenerationRequest:
    return GenerationRequest(model="demo", prompt=prompt, **values)


def own(store: JobStore, visitor: str) -> OwnJobs:
    return OwnJobs(store, visitor, RULES)


def test_a_visitor_sees_own_jobs_alone(store: JobStore) -> None:
    anns, bobs = own(store, "ann").submit(wanted("anns")), own(store, "bob").submit(wanted("bobs"))
    ann, everything = own(store, "ann"), Search()
    assert [job.id for job in ann.queue()] == [job.id for job in ann.list()] == [anns]
    assert ann.counts()[JobStatus.QUEUED] == 1
    assert ann.get(bobs) is None
    store.cancel_all()
    assert [job.id for job in ann.history(everything, 9)] == [anns]
    assert [job.id for job in ann.history(Search(words="bobs"), 9)] == []
    assert (ann.count(everything), store.count(everything)) == (1, 2)
    store.tag(bobs, ["secret"])
    assert (ann.tags(), store.tags()) == ([], ["secret"])
    assert ann.siblings(store.get(bobs)) == []


def test_what_is_done_to_anothers_job_is_not_done(store: JobStore) -> None:
    job, bob = own(store, "ann").submit(wanted()), own(store, "bob")
    before = store.get(job)
    assert not bob.cancel(job)
    assert bob.cancel_all() == 0
    assert not bob.replace(job, wanted("mine now"))
    assert bob.duplicate(job) is None
    assert not bob.star(job, True)
    assert not bob.tag(job, ["mine"])
    assert store.get(job) == before
    store.cancel(job)
    assert not bob.retry(job)
    assert own(store, "ann").retry(job)


def test_what_only_the_owner_of_the_studio_does_is_refused(store: JobStore) -> None:
    ann = own(store, "ann")
    job = ann.submit(wanted())
    for refused in (lambda: ann.delete(job), lambda: ann.pause()):
        with pytest.raises(InvalidRequest, match="not for visitors"):
            refused()
    assert not ann.move(job, None)
    assert ann.purge() == 0
    assert not store.is_paused() and store.get(job) is not None


def test_nobody_begins_nothing(store: JobStore) -> None:
    store.submit(wanted())
    with pytest.raises(InvalidRequest, match="cookie"):
        own(store, "").submit(wanted())
    assert own(store, "").list() == []
    assert own(store, "' OR 1 --").list() == []


def test_the_executor_serves_who_is_being_answered(store: JobStore) -> None:
    shared = SharedExecutor(Inline(store), RULES)
    with asking("ann"):
        job = shared.submit(wanted())
        assert shared.store.get(job) is not None
    with asking("bob"):
        assert shared.store.get(job) is None
        assert not shared.cancel(job)
    assert shared.store.get(job) is None
    assert shared.everything.get(job) is not None


def test_others_jobs_count_for_the_wait(store: JobStore) -> None:
    own(store, "ann").submit(wanted())
    bob = own(store, "bob")
    job = bob.submit(wanted())
    assert (bob.jobs_before(bob.get(job)), len(bob.queue())) == (1, 1)


def test_a_job_too_many_is_refused(store: JobStore) -> None:
    ann = own(store, "ann")
    for _ in range(4):  # one runs, three wait
        ann.submit(wanted())
    with pytest.raises(TooMany, match="4 jobs of yours"):
        ann.submit(wanted())
    for job in ann.queue():
        ann.cancel(job.id)
    ann.submit(wanted())
    ann.submit(wanted())
    with pytest.raises(TooMany, match="6 jobs within a minute"):
        ann.submit(wanted())
    own(store, "bob").submit(wanted())


def test_a_full_queue_takes_nobody_else(store: JobStore) -> None:
    rules = PublicRules(has=lambda spec: True, all_waiting=3)
    for visitor in ("a", "b", "c"):
        OwnJobs(store, visitor, rules).submit(wanted())
    with pytest.raises(TooMany, match="3 jobs wait already"):
        OwnJobs(store, "d", rules).submit(wanted())


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"width": 1024, "height": 1024}, "width"),
        ({"num_frames": 121}, "num_frames"),
        ({"num_inference_steps": 51}, "num_inference_steps"),
        ({"interpolate_fps": 120}, "interpolate_fps"),
        ({"width": 832, "height": 480, "upscale": 4.0}, "upscale"),
        ({"prompt": "a" * 4001}, "prompt"),
        ({"negative_prompt": "a" * 4001}, "negative_prompt"),
        ({"model": "wan2.1-t2v-1.3b"}, "model"),
    ],
)
def test_large_jobs_and_models_that_are_not_here_are_refused(values: dict[str, object], field: str) -> None:
    small = {"width": 64, "height": 64, "num_frames": 5, "num_inference_steps": 2, "model": "demo"}
    request = GenerationRequest(**{"prompt": "a circle", "negative_prompt": "", **small, **values})
    with pytest.raises(InvalidRequest) as refused:
        RULES.check(request)
    assert refused.value.field == field


def test_every_way_to_change_a_store_is_decided_upon() -> None:
    """A new method of the store is a decision to be made here, or strangers have it unasked."""
    reads = {"get", "queue", "first", "list", "history", "count", "counts", "revision", "models", "tags"}
    reads |= {"siblings", "is_paused", "worker_status", "estimate_seconds", "notice", "log_path", "close"}
    gated = {"submit", "duplicate"}  # through _submit, which asks for the rules, and get
    not_asked_by_the_page = {"results", "relocate", "adopt"}
    here = {name for name in dir(JobStore) if not name.startswith("_")}
    decided = set(vars(OwnJobs)) | reads | gated | not_asked_by_the_page | set(vars(Serving))
    assert here - decided == set()

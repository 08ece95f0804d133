"""Jobs that were asked for together."""

from __future__ import annotations

import pytest

from wan_core.jobs.store import JobStore
from wan_core.schema import GenerationRequest


def asked(store: JobStore, **fields: object) -> str:
    return store.submit(GenerationRequest(**{"prompt": "a star", **fields}))


def test_siblings_differ_in_the_seed_alone(store: JobStore) -> None:
    first = asked(store, seed=1)
    asked(store, seed=1, prompt="another star")
    second = asked(store, seed=2)
    asked(store, seed=3, num_inference_steps=7)
    deleted = asked(store, seed=4)
    store.delete(deleted)
    for job_id in (first, second):
        assert [job.id for job in store.siblings(store.get(job_id))] == [first, second]


def test_what_was_asked_for_later_is_no_sibling(store: JobStore) -> None:
    first, second = asked(store, seed=1), asked(store, seed=2)
    with store._database.transaction() as connection:
        connection.execute("UPDATE jobs SET created = created + 4 WHERE id = ?", (second,))
    assert [job.id for job in store.siblings(store.get(first))] == [first]


def test_a_damaged_request_beside_it_does_no_harm(store: JobStore) -> None:
    first, second = asked(store, seed=1), asked(store, seed=2)
    with store._database.transaction() as connection:
        connection.execute("UPDATE jobs SET request = '{' WHERE id = ?", (second,))
    assert [job.id for job in store.siblings(store.get(first))] == [first]


@pytest.mark.parametrize(("place", "seeds"), [(0, range(9)), (10, range(6, 15)), (19, range(11, 20))])
def test_of_a_large_batch_the_nearest_are_siblings(store: JobStore, place: int, seeds: range) -> None:
    ids = [asked(store, seed=seed) for seed in range(20)]
    found = store.siblings(store.get(ids[place]))
    assert [job.request.seed for job in found] == list(seeds)

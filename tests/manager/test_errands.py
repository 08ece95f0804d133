"""Downloads and checks in the background, from a fake hub on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.manager.fake_hub import FakeHub
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.manager import first_seen
from wan_core.manager.errands import Errand, Errands
from wan_core.manager.verify import Verdict, verify
from wan_core.manager.weights import WeightStore
from wan_core.schema import Cancelled, Settings
from wan_core.schema.status import JobStatus

T = TypeVar("T")


@pytest.fixture
def store(settings: Settings, hub: FakeHub, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, endpoint=hub.url, hub_cache=tmp_path / "cache")


@pytest.fixture
def errands(store: WeightStore, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> Iterator[Errands]:
    """With the models ``small`` and ``other``, of different repositories of the fake hub."""
    monkeypatch.setitem(MODELS, "small", spec)
    monkeypatch.setitem(MODELS, "other", replace(spec, id="other", repo="org/Other"))
    errands = Errands(store)
    yield errands
    errands.stop()


def wait_for(what: Callable[[], T]) -> T:
    deadline = time.monotonic() + 10
    while not (value := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def ended(errands: Errands, model: str = "small") -> Errand:
    return wait_for(lambda: errand if (errand := errands.of(model)).state.is_final else None)


def test_a_download_goes_on_by_itself_and_tells_its_bytes(errands, hub, settings) -> None:
    errands.begin("download", "small")
    assert errands.are_active
    errand = ended(errands)
    total = sum(map(len, hub.files.values()))
    assert (errand.kind, errand.state, errand.step, errand.total) == ("download", "done", total, total)
    assert (settings.models_dir / "Model" / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert not errands.are_active


def test_a_cancelled_download_keeps_its_bytes_and_goes_on_from_there(errands, hub, store, spec) -> None:
    hub.stall = True
    errands.begin("download", "small")
    wait_for(lambda: store.kept_bytes(spec, "tokenizer"))
    errands.cancel("small")
    assert ended(errands).state is JobStatus.CANCELLED
    hub.stall = False
    hub.woken.set()
    errands.begin("download", "small")
    assert ended(errands).state is JobStatus.DONE
    assert any(request.range for request in hub.asked("GET", "tokenizer.json"))


def test_one_download_waits_for_another_and_can_be_called_off(errands, hub) -> None:
    hub.repos = ("org/Model", "org/Other")
    hub.stall = True
    errands.begin("download", "small")
    wait_for(lambda: errands.of("small").state is JobStatus.RUNNING)
    errands.begin("download", "other")
    errands.begin("download", "other")
    assert errands.of("other").state is JobStatus.QUEUED
    errands.cancel("other")
    assert errands.of("other").state is JobStatus.CANCELLED
    errands.begin("download", "other")  # after all
    hub.stall = False
    hub.woken.set()
    errands.cancel("small")
    assert ended(errands, "other").state is JobStatus.DONE
    assert [errand.model for errand in errands.all()] == ["small", "other"]
    errands.forget("small")
    assert errands.of("small") is None


def test_a_failure_is_one_sentence_and_does_not_stop_the_next(errands, hub) -> None:
    hub.repos = ("org/Other",)
    errands.begin("download", "small")
    errands.begin("download", "other")
    failed = ended(errands)
    assert failed.state is JobStatus.FAILED
    assert failed.error.startswith("org/Model: ")
    assert ended(errands, "other").state is JobStatus.DONE


def test_an_unexpected_error_ends_one_errand_only(errands, monkeypatch, store) -> None:
    monkeypatch.setattr(WeightStore, "fetch", lambda *_: 1 / 0)
    errands.begin("download", "small")
    assert "ZeroDivisionError" in ended(errands).error
    monkeypatch.undo()


def test_ending_the_studio_ends_a_download_soon(errands, hub, store, spec) -> None:
    hub.stall = True
    errands.begin("download", "small")
    wait_for(lambda: store.kept_bytes(spec, "tokenizer"))
    start = time.monotonic()
    errands.stop()
    assert time.monotonic() - start < 2
    assert errands.of("small").state is JobStatus.CANCELLED
    assert store.kept_bytes(spec, "tokenizer") == 1


def test_verifying_compares_every_byte(errands, hub, store, spec, settings) -> None:
    store.fetch(spec, lambda event: None)
    folder = settings.models_dir / "Model"
    broken = bytearray(hub.files["vae.pth"])
    broken[500] ^= 1
    (folder / "vae.pth").write_bytes(broken)
    errands.begin("verify", "small")
    errand = ended(errands)
    assert errand.state is JobStatus.DONE
    assert errand.step == errand.total == sum(map(len, hub.files.values()))
    assert errand.verdict.wrong == (folder / "vae.pth",)
    assert len(errand.verdict.right) == 3
    assert errand.verdict.unknown == ()


def test_without_the_hub_the_catalogs_digests_count_and_those_of_the_first_download(
    store, hub, spec, settings
) -> None:
    store.fetch(spec, lambda event: None)
    folder = settings.models_dir / "Model"
    digest = "0" * 64
    vae = replace(spec.weights[Role.VAE], sha256=(digest,))
    known = replace(spec, weights={**spec.weights, Role.VAE: vae})
    offline = WeightStore(settings.model_copy(update={"offline": True}), hub.url, Path("nowhere"))
    asked, steps = len(hub.requests), []
    verdict = verify(offline, known, lambda event: None)
    assert (verdict.wrong, verdict.unknown) == ((folder / "vae.pth",), ())
    (folder / first_seen.NAME).unlink()
    verdict = verify(offline, known, lambda event: steps.append(event.step))
    assert verdict.wrong == (folder / "vae.pth",)
    assert {path.name for path in verdict.unknown} == {"dit.safetensors", "t5.pth", "tokenizer.json"}
    assert len(hub.requests) == asked
    assert steps[-1] == len(hub.files["vae.pth"])
    assert verify(offline, replace(known, repo="org/Nothing"), lambda event: None) == Verdict()


def test_verifying_can_be_stopped(store, hub, spec) -> None:
    store.fetch(spec, lambda event: None)

    def stop(event: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        verify(store, spec, stop)

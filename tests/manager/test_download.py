"""Downloads from a fake hub on loopback: whole, resumed, cancelled, refused."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from tests.manager.fake_hub import FakeHub
from wan_core.catalog import ModelSpec, Role, WeightFiles
from wan_core.manager import download, transfer
from wan_core.manager.weights import WeightStore
from wan_core.schema import Cancelled, DownloadError, ProgressEvent, Settings, Stage


@pytest.fixture
def store(settings: Settings, hub: FakeHub, tmp_path: Path) -> WeightStore:
    return WeightStore(settings, endpoint=hub.url, hub_cache=tmp_path / "cache")


def quiet(event: ProgressEvent) -> None:
    pass


def only_dit(spec: ModelSpec) -> ModelSpec:
    return replace(spec, weights={Role.TRANSFORMER: spec.weights[Role.TRANSFORMER]})


def part_of(folder: Path, name: str) -> Path:
    [part] = folder.glob(f"{name}.*.part")
    return part


def test_everything_arrives_and_is_found_offline(store, spec, hub, settings):
    events: list[ProgressEvent] = []
    folder = store.fetch(spec, events.append)
    assert folder == settings.models_dir / "Model"
    for name, content in hub.files.items():
        assert (folder / name).read_bytes() == content
    assert not list(folder.rglob("*.part"))
    total = sum(map(len, hub.files.values()))
    assert {event.stage for event in events} == {Stage.DOWNLOAD}
    assert (events[-1].step, events[-1].total) == (total, total)
    asked = len(hub.requests)
    offline = WeightStore(settings.model_copy(update={"offline": True}))
    assert offline.missing(spec) == {}
    assert offline.fetch(spec, quiet) == folder
    assert len(hub.requests) == asked


def test_large_files_come_through_a_redirect(store, spec, hub):
    hub.through_cdn = True
    folder = store.fetch(spec, quiet)
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert any(request.path == "/cdn/dit.safetensors" for request in hub.requests)


def test_the_login_stays_with_the_hub(store, spec, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.through_cdn = True
    hub.cdn = hub.url.replace("127.0.0.1", "localhost")
    store.fetch(spec, quiet)
    sent = {request.authorization for request in hub.requests if "/cdn/" not in request.path}
    assert sent == {"Bearer hf_secret"}
    assert {request.authorization for request in hub.requests if "/cdn/" in request.path} == {""}


def test_a_dropped_connection_is_resumed_where_it_broke(store, spec, hub):
    hub.drop_after = [40_960]
    folder = store.fetch(only_dit(replace(spec, tokenizer=WeightFiles((), 0))), quiet)
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert [r.range for r in hub.asked("GET", "dit.safetensors")] == ["", "bytes=40960-"]


def test_a_later_run_asks_only_for_the_rest(store, spec, hub, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_TRIES", 1)
    hub.drop_after = [8192]
    small = only_dit(replace(spec, tokenizer=WeightFiles((), 0)))
    with pytest.raises(DownloadError, match=r"org/Model: dit\.safetensors .* what has arrived is kept\.$"):
        store.fetch(small, quiet)
    assert store.missing(small)[Role.TRANSFORMER] == 102_400 - 8192
    events: list[ProgressEvent] = []
    folder = store.fetch(small, events.append)
    assert hub.asked("GET", "dit.safetensors")[-1].range == "bytes=8192-"
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert max(event.step for event in events) == 102_400


def test_a_server_without_ranges_starts_again(store, spec, hub):
    hub.drop_after, hub.ignores_ranges = [8192], True
    folder = store.fetch(spec, quiet)
    assert all((folder / name).read_bytes() == content for name, content in hub.files.items())


def test_a_partial_file_of_another_version_is_not_continued(store, spec, hub, settings):
    folder = settings.models_dir / "Model"
    folder.mkdir(parents=True)
    (folder / "dit.safetensors.0123456789abcdef.part").write_bytes(b"old" * 100)
    store.fetch(spec, quiet)
    assert [r.range for r in hub.asked("GET", "dit.safetensors")] == [""]
    assert not list(folder.glob("*.part"))


def test_cancelling_a_silent_download_is_prompt_and_keeps_what_came(store, spec, hub):
    hub.stall = True
    small = only_dit(replace(spec, tokenizer=WeightFiles((), 0)))
    cancelled_at = 0.0

    def cancel_when_half_is_there(event: ProgressEvent) -> None:
        nonlocal cancelled_at
        if event.step == 51_200:
            cancelled_at = time.monotonic()
            raise Cancelled

    with pytest.raises(Cancelled):
        store.fetch(small, cancel_when_half_is_there)
    assert time.monotonic() - cancelled_at < 1.0
    for thread in threading.enumerate():
        if thread.name.startswith("download"):
            thread.join(1.0)
            assert not thread.is_alive()
    folder = store.folder(small)
    assert part_of(folder, "dit.safetensors").stat().st_size == 51_200
    hub.stall = False
    store.fetch(small, quiet)
    assert hub.asked("GET", "dit.safetensors")[-1].range == "bytes=51200-"
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, r"the hub asks for a login \(401\); log in with `hf auth login`"),
        (403, r"the hub grants no access \(403\); accept the model's licence"),
        (404, r"no such file at this revision \(404\)"),
        (429, r"takes no more requests for now \(429\); wait some minutes"),
        (503, r"the hub is out of order \(503\); start again later"),
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_refusal_says_file_and_remedy(store, spec, hub, method, status, sentence):
    hub.statuses = [(method, status, {})] * transfer.MAX_TRIES
    with pytest.raises(DownloadError, match=sentence) as caught:
        store.fetch(spec, quiet)
    assert str(caught.value).startswith("org/Model: google/umt5-xxl/tokenizer.json could not be downloaded")
    assert str(caught.value).count("\n") == 0


def test_an_unknown_repository_is_named(store, spec):
    with pytest.raises(DownloadError, match=r"org/Other: .* check the repository's name"):
        store.fetch(replace(spec, repo="org/Other"), quiet)


def test_a_short_refusal_is_waited_out(store, spec, hub):
    hub.statuses = [("HEAD", 429, {"Retry-After": "0"}), ("GET", 503, {})]
    store.fetch(spec, quiet)
    assert store.missing(spec) == {}


def test_no_network_fails_at_once_with_the_host(store, spec, settings):
    unreachable = WeightStore(settings, endpoint="http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"connection to 127\.0\.0\.1:9 failed .* HF_ENDPOINT"):
        unreachable.fetch(spec, quiet)
    assert time.monotonic() - started < 3


def test_offline_is_refused_without_a_request(spec, settings, hub):
    offline = WeightStore(settings.model_copy(update={"offline": True}), endpoint=hub.url)
    with pytest.raises(DownloadError, match=r"org/Model is not on this machine .* offline"):
        offline.fetch(spec, quiet)
    assert hub.requests == []


def test_a_login_page_is_no_hub(store, spec, hub):
    hub.etagless = True
    with pytest.raises(DownloadError, match=r"it is no Hugging Face hub"):
        store.fetch(spec, quiet)


def test_other_bytes_of_the_same_size_are_refused(store, spec, hub, settings):
    hub.swaps["vae.pth"] = b"x" * len(hub.files["vae.pth"])
    with pytest.raises(DownloadError, match=r"vae\.pth is not the file of revision c0ffee"):
        store.fetch(spec, quiet)
    assert not list((settings.models_dir / "Model").glob("vae.pth*"))


def test_the_catalogs_digest_overrules_the_hubs(store, spec, hub):
    vae = spec.weights[Role.VAE]
    right = hashlib.sha256(hub.files["vae.pth"]).hexdigest()
    for digest, accepted in ((right, True), ("0" * 64, False)):
        pinned = replace(spec, weights={**spec.weights, Role.VAE: replace(vae, sha256=(digest,))})
        shutil.rmtree(store.folder(spec), ignore_errors=True)
        if accepted:
            store.fetch(pinned, quiet)
        else:
            with pytest.raises(DownloadError, match=r"vae\.pth is not the file"):
                store.fetch(pinned, quiet)


def test_too_little_disk_is_refused_before_the_first_byte(store, spec, hub, monkeypatch):
    need = sum(map(len, hub.files.values()))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(0, 0, int(need * 1.09)))
    with pytest.raises(DownloadError, match=r"must stay free, .* WAN_STUDIO_HOME"):
        store.fetch(spec, quiet)
    assert all(request.method == "HEAD" for request in hub.requests)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(0, 0, int(need * 1.11)))
    store.fetch(spec, quiet)


def test_a_disk_that_fills_up_keeps_what_came(store, spec, hub, monkeypatch):
    small = only_dit(replace(spec, tokenizer=WeightFiles((), 0)))
    write = transfer._Partial.write

    def write_until_full(part, data: bytes) -> None:
        if part.size + len(data) > 80_000:
            write(part, data[: 80_000 - part.size])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(part, data)

    with monkeypatch.context() as full:
        full.setattr(transfer._Partial, "write", write_until_full)
        with pytest.raises(DownloadError, match=r"became full while dit\.safetensors was downloaded"):
            store.fetch(small, quiet)
    folder = store.fetch(small, quiet)
    assert hub.asked("GET", "dit.safetensors")[-1].range == "bytes=80000-"
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]


def test_a_folder_that_cannot_be_made_is_named(store, spec, settings):
    settings.home.mkdir()
    settings.models_dir.write_text("a file, not a folder")
    with pytest.raises(DownloadError, match=r"cannot be written to .* set WAN_STUDIO_HOME"):
        store.fetch(spec, quiet)


def test_an_index_brings_its_shards(store, spec, hub):
    shards = {f"d-0000{i}-of-00002.safetensors": bytes([i]) * 5000 for i in (1, 2)}
    weight_map = ", ".join(f'"w{i}": "{name}"' for i, name in enumerate(shards))
    hub.files |= {"d.safetensors.index.json": f'{{"weight_map": {{{weight_map}}}}}'.encode(), **shards}
    sharded = replace(spec, weights={Role.TRANSFORMER: WeightFiles(("d.safetensors.index.json",), 10_000)})
    folder = store.fetch(sharded, quiet)
    assert all((folder / name).read_bytes() == content for name, content in shards.items())
    assert store.locate(sharded, Role.TRANSFORMER) == folder
    (folder / "d-00002-of-00002.safetensors").unlink()
    assert store.locate(sharded, Role.TRANSFORMER) is None
    store.fetch(sharded, quiet)
    assert len(hub.asked("GET", "d-00001-of-00002.safetensors")) == 1
    assert len(hub.asked("GET", "d-00002-of-00002.safetensors")) == 2


@pytest.fixture
def shared(spec: ModelSpec, hub: FakeHub) -> ModelSpec:
    """The model, with a text encoder and a tokenizer that come from another repository."""
    hub.repos = ("org/Model", "base/Base")
    elsewhere = {"repo": "base/Base", "revision": "v1"}
    text_encoder = replace(spec.weights[Role.TEXT_ENCODER], **elsewhere)
    return replace(
        spec,
        weights={**spec.weights, Role.TEXT_ENCODER: text_encoder},
        tokenizer=replace(spec.tokenizer, **elsewhere),
    )


def test_parts_of_several_repositories_are_one_download(store, shared, hub, settings):
    events: list[ProgressEvent] = []
    assert store.fetch(shared, events.append) == settings.models_dir / "Model"
    base = settings.models_dir / "Base"
    for name, folder in {"t5.pth": base, "vae.pth": settings.models_dir / "Model"}.items():
        assert (folder / name).read_bytes() == hub.files[name]
    assert not (settings.models_dir / "Model" / "t5.pth").exists()
    assert {store.locate(shared, part).name for part in ("tokenizer", Role.TEXT_ENCODER)} == {"Base"}
    assert store.missing(shared) == {}
    assert [r.path for r in hub.asked("GET", "t5.pth")] == ["/base/Base/resolve/v1/t5.pth"]
    total = sum(map(len, hub.files.values()))
    steps = [event.step for event in events if event.total]
    assert {event.total for event in events if event.total} == {total}
    assert steps == sorted(steps) and steps[-1] == total


def test_only_the_repository_with_something_missing_is_asked(store, shared, hub, settings):
    store.fetch(shared, quiet)
    (settings.models_dir / "Base" / "t5.pth").unlink()
    hub.requests.clear()
    assert store.missing(shared) == {Role.TEXT_ENCODER: len(hub.files["t5.pth"])}
    store.fetch(shared, quiet)
    assert {request.path for request in hub.requests} == {"/base/Base/resolve/v1/t5.pth"}


def test_errors_name_the_repository_of_the_part(store, shared, hub, settings):
    hub.repos = ("org/Model",)
    with pytest.raises(DownloadError, match=r"^base/Base: google/umt5-xxl/tokenizer\.json"):
        store.fetch(shared, quiet)
    offline = WeightStore(settings.model_copy(update={"offline": True}), endpoint=hub.url)
    with pytest.raises(DownloadError, match=r"^base/Base is not on this machine .*/models/Base\.$"):
        offline.fetch(shared, quiet)


def test_a_part_of_another_repository_can_be_cancelled_and_gone_on_with(store, shared, hub, settings):
    hub.stall = True

    def cancel(event: ProgressEvent) -> None:
        found = (settings.models_dir / "Base").glob("t5.pth.*.part")
        if any(part.stat().st_size == 20_000 for part in found):
            raise Cancelled

    shared = replace(shared, tokenizer=replace(shared.tokenizer, files=(), size=0))
    shared = replace(shared, weights={Role.TEXT_ENCODER: shared.weights[Role.TEXT_ENCODER]})
    with pytest.raises(Cancelled):
        store.fetch(shared, cancel)
    assert store.missing(shared) == {Role.TEXT_ENCODER: 20_000}
    hub.stall = False
    store.fetch(shared, quiet)
    assert hub.asked("GET", "t5.pth")[-1].range == "bytes=20000-"


def test_a_second_process_waits_and_can_be_cancelled(store, spec):
    folder = store.folder(spec)
    folder.mkdir(parents=True)
    other = download.filelock.FileLock(folder / ".download.lock")
    messages: list[str] = []

    def cancel(event: ProgressEvent) -> None:
        messages.append(event.message)
        raise Cancelled

    with other, pytest.raises(Cancelled):
        store.fetch(spec, cancel)
    assert messages == ["Waiting for another download into the same folder."]


def test_the_message_tells_speed_and_time_left(monkeypatch):
    clock = iter([0.0, 0.0, 2.0, 2.0])
    monkeypatch.setattr(download.time, "monotonic", lambda: next(clock))
    speed = download._Speed()

    class Running:
        def __init__(self, done: int) -> None:
            self._done = done

        def state(self) -> transfer.TransferState:
            return transfer.TransferState("Downloading a.pth", self._done, 10**10, self._done)

    download._progress(Running(0), speed, 0.0)
    event = download._progress(Running(10**9), speed, 0.0)
    assert event.message == "Downloading a.pth: 1.00 GB of 10.00 GB, 500.0 MB/s, 18 s left"
    assert (event.step, event.total, event.seconds) == (10**9, 10**10, 2.0)

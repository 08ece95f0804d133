"""A disk that takes no more during a download, refused by the kernel itself at the real write.

What a full disk does is done by the limit of a file's size (no mounting, so nothing is ever skipped), and by
the kernel's own answer that there is no room, where a write is led to ``/dev/full``.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from socketserver import BaseServer

import pytest

from tests.full_disk import files_of_at_most
from tests.manager.conftest import hub, settings, spec  # noqa: F401 - fixtures
from tests.manager.fake_hub import FakeHub
from tests.manager.test_download import only_dit, part_of, quiet, store  # noqa: F401 - a fixture
from wan_core.catalog import ModelSpec, WeightFiles
from wan_core.manager.transfer import _Partial
from wan_core.manager.weights import WeightStore
from wan_core.schema import DownloadError

pytestmark = pytest.mark.faults

ROOM = 80_000


@pytest.fixture(autouse=True)
def quiet_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub whose client hangs up writes no words of its own, as they have no room either."""
    monkeypatch.setattr(BaseServer, "handle_error", lambda *_: None)


@pytest.fixture
def small(spec: ModelSpec) -> ModelSpec:  # noqa: F811
    return only_dit(replace(spec, tokenizer=WeightFiles((), 0)))


@pytest.mark.parametrize("room", [500, 5000, ROOM])
def test_what_came_is_kept_and_the_rest_follows(
    store: WeightStore,  # noqa: F811
    small: ModelSpec,
    hub: FakeHub,  # noqa: F811
    room: int,
) -> None:
    with files_of_at_most(room), pytest.raises(DownloadError) as caught:
        store.fetch(small, quiet)
    words = str(caught.value)
    assert "takes no file as large as dit.safetensors" in words and "what has arrived is kept" in words
    assert "\n" not in words and words.endswith(".")
    folder = store.folder(small)
    assert part_of(folder, "dit.safetensors").stat().st_size == room
    assert store.missing(small) and not (folder / "dit.safetensors").exists()
    store.fetch(small, quiet)
    assert hub.asked("GET", "dit.safetensors")[-1].range == f"bytes={room}-"
    assert (folder / "dit.safetensors").read_bytes() == hub.files["dit.safetensors"]
    assert not store.missing(small)


def test_not_even_a_note_fits(store: WeightStore, small: ModelSpec) -> None:  # noqa: F811
    with files_of_at_most(0), pytest.raises(DownloadError, match="takes no file as large as"):
        store.fetch(small, quiet)
    store.fetch(small, quiet)
    assert not store.missing(small)


def test_no_room_at_all_is_said_and_nothing_is_taken_for_whole(
    store: WeightStore,  # noqa: F811
    small: ModelSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = Path.open

    def led_astray(path: Path, mode: str = "r", *more: object, **named: object):
        target = Path("/dev/full") if path.suffix == ".part" and "a" in mode else path
        return opened(target, mode, *more, **named)

    with monkeypatch.context() as full:
        full.setattr(Path, "open", led_astray)
        full.setattr("wan_core.manager.transfer.Transfer._open", lambda self, file: _Partial(file))
        with pytest.raises(DownloadError, match=r"became full while dit\.safetensors was downloaded"):
            store.fetch(small, quiet)
    assert [path.name for path in store.folder(small).iterdir() if path.suffix == ".safetensors"] == []
    store.fetch(small, quiet)
    assert not store.missing(small)


def test_the_kernel_says_what_is_pretended_here() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError) as caught:
        full.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    assert os.strerror(errno.EFBIG) == "File too large"

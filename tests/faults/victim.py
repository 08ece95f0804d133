"""Reads damaged files of one format: ``python -m tests.faults.victim FORMAT SEED FIRST LAST FOLDER``.

Before each it writes the number, after it what came of it, a line each; so whoever reads knows which file
ended the process, or keeps it busy.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.doors import own_mib
from tests.faults.mutations import SAMPLES, damaged
from wan_core.schema import Settings, WanStudioError

Reading = Callable[[Path, Settings], object]


def _weights(path: Path, settings: Settings) -> None:
    from wan_core.manager.checkpoint_file import open_checkpoint
    from wan_core.manager.headers import read_header

    entries = read_header(path).tensors
    opened = open_checkpoint(path)
    assert set(opened) == set(entries), "header and file name different tensors"
    for tensor in opened.values():
        (tensor if hasattr(tensor, "sum") else tensor.packed).float().sum()  # touches what is mapped


def _picture(path: Path, settings: Settings) -> None:
    from wan_core.media.inputs import check_input
    from wan_core.media.metadata import read_metadata

    read_metadata(path)
    check_input(path)


def _video(path: Path, settings: Settings) -> None:
    from wan_core.media.metadata import read_metadata
    from wan_core.media.read import read_clip

    read_metadata(path)
    assert read_clip(path, max_frames=3).frames.shape[3] == 3


def _recipe(path: Path, settings: Settings) -> None:
    """A recipe; and the same text as the settings, as the index of shards, and beside a LoRA."""
    from wan_core.lora.card import read_scaling
    from wan_core.manager.kept_settings import KeptSettings
    from wan_core.manager.restoring import restore
    from wan_core.manager.shards import shard_names

    settings.home.mkdir(exist_ok=True)
    (settings.home / "settings.json").write_bytes(path.read_bytes())
    KeptSettings(settings)
    for kept in settings.home.glob("settings.json*"):
        kept.unlink()
    read_scaling({}, path.read_bytes())
    with suppress(WanStudioError):
        shard_names(path)
    restore(path, settings)


def _database(path: Path, settings: Settings) -> None:
    from wan_core.jobs.store import JobStore

    store = JobStore(path)
    try:
        store.counts()
        for job in (*store.list(), *store.queue()):
            assert store.get(job.id) is not None
        store.claim()
    finally:
        store.close()
        for beside in path.parent.glob(f"{path.name}*"):
            beside.unlink()


READINGS: dict[str, tuple[str, Reading]] = {
    "safetensors": ("m.safetensors", _weights),
    "gguf": ("m.gguf", _weights),
    "pth": ("m.pth", _weights),
    "png": ("a.png", _picture),
    "mp4": ("a.mp4", _video),
    "json": ("a.json", _recipe),
    "sqlite": ("jobs.sqlite3", _database),
}


def main(format: str, seed: int, first: int, last: int, folder: Path) -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    name, read = READINGS[format]
    path, settings = folder / name, Settings(home=folder / "home", device="cpu", offline=True)
    path.write_bytes(SAMPLES[format]()[0])
    read(path, settings)  # the sound one is read, and all is imported
    print("ready", own_mib(), flush=True)
    for number in range(first, last):
        content = damaged(format, number, seed)
        path.write_bytes(content)
        print("begin", number, flush=True)
        begun, words = time.perf_counter(), ""
        try:
            read(path, settings)
            outcome = "accepted"
        except WanStudioError as error:
            outcome = "refused" if "\n" not in str(error) and str(error).endswith(".") else "no-sentence"
            words = str(error) if outcome == "no-sentence" else ""
        except Exception as error:  # noqa: BLE001 - what must not happen is told, not raised
            outcome, words = "unexpected", f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - begun
        print("end", outcome, f"{seconds:.3f}", own_mib(), words.replace("\n", " ")[:200], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))

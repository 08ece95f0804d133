"""Hands the corpus' files in at the studio's real doors and tells what came of each, a line of JSON per case.

``python -m tests.faults.doors web FOLDER HOME`` is what the web process does with them, without torch;
``... worker ...`` is what the worker does. The last case begun is the guilty one if the process ends early.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.corpus.case import CANARY_RGB, Case
from wan_core.lora.shelf import find_lora
from wan_core.manager.found_file import describe
from wan_core.manager.headers import read_header
from wan_core.manager.lora_cards import lora_card, lora_count
from wan_core.manager.recognise import read_entries
from wan_core.manager.restoring import restore
from wan_core.manager.shards import is_complete
from wan_core.media.exporting import last_frame
from wan_core.media.inputs import InputStore
from wan_core.media.read import read_clip, read_image
from wan_core.models.dit.config import DiTConfig
from wan_core.schema import Settings, WanStudioError, WeightsError

DIT = DiTConfig(dim=48, ffn_dim=96, num_heads=4, num_layers=2, text_dim=32, freq_dim=16)
MODEL = "model.safetensors.index.json"

Door = Callable[[Case, Settings], object]


def media(case: Case, settings: Settings) -> None:
    """An upload that is kept, looked at and read."""
    store = InputStore(settings.inputs_dir)
    name = store.keep(case.path)
    kind = store.kind(name)
    if kind == "text":
        return
    path = store.path(name)
    seen = read_image(path) if kind == "image" else read_clip(path).frames[0]
    near = abs(seen[::8, ::8].astype(int) - CANARY_RGB).max(axis=-1) < 40
    assert not near.mean() > 0.5, "the canary was read"


def weights(case: Case, settings: Settings) -> None:
    """A file in a folder of models: listed, then read."""
    found = describe(case.path.name, [case.path])
    try:
        read_header(case.path)
    except WeightsError as error:
        assert found.problem == str(error)
        raise
    assert not found.problem


def shards(case: Case, settings: Settings) -> None:
    if not is_complete(case.path.parent, [MODEL]):
        raise WeightsError(f"{case.path} is not complete; download the model again.")
    read_entries(case.path.parent, [MODEL])


def lora(case: Case, settings: Settings) -> None:
    """A LoRA on the shelf: its card, and how much of it fits."""
    name = _shelved(case, settings)
    lora_card(settings, name)
    count = lora_count(settings, name, DIT)
    if not count.fitting:
        raise WeightsError(f"{case.path}: no part fits; choose another LoRA.")


def open_weights(case: Case, settings: Settings) -> None:
    from wan_core.manager.checkpoint_file import open_checkpoint

    for tensor in open_checkpoint(case.path).values():
        assert sum(tensor.shape) < 10**6


def open_lora_file(case: Case, settings: Settings) -> None:
    from tests.lora.making import tiny_dit
    from wan_core.lora.fitting import fit
    from wan_core.manager.lora_files import open_lora
    from wan_core.schema.lora import LoraUse

    fit(open_lora(settings, LoraUse(file=_shelved(case, settings))), tiny_dit(DIT))


DOORS: dict[str, dict[str, Door]] = {
    "web": {
        "media": media,
        "weights": weights,
        "shards": shards,
        "lora": lora,
        "settings": lambda case, settings: restore(case.path, settings),
        "result": lambda case, settings: last_frame(case.path),
    },
    "worker": {"weights": open_weights, "lora": open_lora_file},
}


def _shelved(case: Case, settings: Settings) -> str:
    """The name of a case's LoRA among those of the studio."""
    name = f"{case.path.parent.name}.safetensors"
    link = settings.loras_dir / name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(case.path)
    assert find_lora(settings, name) == link
    return name


def tried(case: Case, door: Door, settings: Settings) -> dict[str, Any]:
    """What came of one case: outcome, words, seconds."""
    begun = time.perf_counter()
    try:
        door(case, settings)
        outcome, words = "used", ""
    except WanStudioError as error:
        outcome, words = "refused", str(error)
    except Exception as error:  # noqa: BLE001 - what must not happen is told, not raised
        outcome, words = "unexpected", f"{type(error).__name__}: {error}"[:500]
    told = {"name": case.name, "outcome": outcome, "words": words, "seconds": time.perf_counter() - begun}
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return told | {"own_mib": own_mib(), "helper_mib": helpers}


def own_mib() -> int:
    """The most memory that this process has had since it was started (its parent's does not count)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


def run(side: str, cases: list[Case], home: Path) -> Iterator[dict[str, Any]]:
    settings = Settings(home=home, device="cpu", offline=True)
    for case in cases:
        if case.door in DOORS[side]:
            yield tried(case, DOORS[side][case.door], settings)


def main(side: str, folder: Path, home: Path) -> None:
    listed = json.loads((folder / "cases.json").read_text())
    cases = [Case(name, door, Path(path), refused) for name, door, path, refused in listed]
    if side == "worker":
        import torch  # noqa: F401 - what it takes is not what a file takes
    print(json.dumps({"name": "", "own_mib": own_mib()}), flush=True)
    for told in run(side, cases, home):
        print(json.dumps(told), flush=True)
    if side == "web":
        assert "torch" not in sys.modules, "the web process imported torch"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))

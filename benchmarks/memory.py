"""Plan against reality, and the loading of a 2.8 GB transformer beside diffusers and a plain copy.

    python -m benchmarks.memory [--runs 3] [--folder FOLDER]

Loading runs in processes of their own, watched from outside, the ways in turns; the medians count. The
weights are random and written to a temporary folder of 5.7 GB, or to FOLDER, where they are kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from benchmarks.load_dit import DIFFUSERS, OFFICIAL, WAYS
from benchmarks.make_true_size_weights import Noise, shapes_of, write_config, write_safetensors
from benchmarks.plan_reality import count, run_streamed
from benchmarks.report import save
from benchmarks.watch import watch
from wan_core.catalog import find_model
from wan_core.models.dit.model import WanDiT

log = logging.getLogger("memory")

GIB = 2**30
COLUMNS = ("load_seconds", "read_seconds", "cpu_seconds", "peak_gib", "peak_own_gib")


def make_files(folder: Path) -> None:
    """The same sizes in both layouts, bfloat16; what is there already stays."""
    spec, noise = find_model("wan2.1-t2v-1.3b"), Noise(0)
    official = folder / OFFICIAL
    if not official.is_file():
        official.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(official, shapes_of(lambda: WanDiT(spec.dit)), torch.bfloat16, noise)
        write_config(official.parent, spec)
    theirs = folder / DIFFUSERS
    if not (theirs / "config.json").is_file():
        from diffusers import WanTransformer3DModel

        with torch.device("meta"):
            model = WanTransformer3DModel(num_attention_heads=12, num_layers=30, ffn_dim=8960)
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        theirs.mkdir(parents=True, exist_ok=True)
        path = theirs / "diffusion_pytorch_model.safetensors"
        write_safetensors(path, shapes, torch.bfloat16, noise)
        model.save_config(theirs)


def measure_loading(folder: Path, runs: int) -> list[dict[str, object]]:
    """Each way's medians, in the order of ``WAYS``."""
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(runs):
        for way in WAYS:
            log.info("Run %d of %d: %s", number + 1, runs, way)
            watched = watch([sys.executable, "-m", "benchmarks.load_dit", way, str(folder)])
            figures = json.loads(watched.stdout.splitlines()[-1])
            figures["cpu_seconds"] = watched.cpu_seconds
            figures["peak_gib"] = watched.peak_bytes / GIB
            figures["peak_own_gib"] = watched.peak_own_bytes / GIB
            seen[way].append(figures)
    return [
        {"way": way, **{name: round(statistics.median(f[name] for f in found), 2) for name in COLUMNS}}
        for way, found in seen.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the weights are kept for another time")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load_before = os.getloadavg()[0]
    lines = [line.entries for line in count()]
    print(f"{'':56}{'planned GiB':>12}{'real GiB':>12}{'off %':>8}")
    for line in lines:
        planned, real = (line[name] / GIB for name in ("planned_bytes", "real_bytes"))
        print(f"{line['what']:56}{planned:>12.2f}{real:>12.2f}{line['off_percent']:>8}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        make_files(folder)
        loading = measure_loading(folder, options.runs)
        streaming = run_streamed(folder / OFFICIAL) if torch.cuda.is_available() else []
    print(f"{'':12}" + "".join(f"{name:>14}" for name in COLUMNS))
    for row in loading:
        print(f"{row['way']:12}" + "".join(f"{row[name]:>14}" for name in COLUMNS))
    for row in streaming:
        print(f"{row['what']:24}{row['seconds']:>8.2f} s, peak off by {row['off_percent']} %")
    report = {
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "load_average_before": round(load_before, 2),
        "packages": {name: version(name) for name in ("torch", "safetensors", "diffusers")},
        "runs": options.runs,
        "plan": lines,
        "loading": loading,
        "streaming": streaming,
    }
    log.info("Saved %s", save("memory", report).name)


if __name__ == "__main__":
    main()

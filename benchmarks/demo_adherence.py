"""Do the demo models show what their prompts say, and keep to what they are given?

    python benchmarks/demo_adherence.py [--quick] [--only t2v|i2v|flf|v2v|inpainting|edges …] [--save]

Everything is run through the normal engine; its files are read back and judged by the classical detector of
``detector.py``. Also measures the VAE's reconstruction of unseen whole clips. Models that are not in the
catalog are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a file

from benchmarks.adherence_steered import SUITES
from benchmarks.adherence_studio import Row, Studio
from benchmarks.adherence_text import measure, table, text_rows
from benchmarks.report import save
from wan_core.catalog import MODELS, Role
from wan_core.manager.loading import load_vae
from wan_core.training.vae_training import reconstruction_psnr

PSNR_TARGET = 28.0


def text_report(studio: Studio, quick: bool) -> dict[str, object]:
    """The table of text to video, printed, and what goes into the report."""
    outcomes = measure(studio, 24 if quick else 6)
    shares = table(outcomes)
    print(f"{'':10}" + "".join(f"{name:>12}" for name in shares["all"]))
    for group, row in shares.items():
        print(f"{group:10}" + "".join(f"{share:12.1%}" for share in row.values()))
    spec = MODELS["demo"]
    vae = load_vae(spec.folder, spec.weights[Role.VAE].files, torch.float32)
    rows = [*text_rows(shares), Row("reconstruction", reconstruction_psnr(vae), PSNR_TARGET, "dB")]
    _tell(rows)
    wrong = [asdict(outcome) for outcome in outcomes if not outcome.all_right]
    return {"videos": len(outcomes), "shares": shares, "psnr": rows[-1].value, "wrong": wrong}


def steered_report(studio: Studio, quick: bool, only: list[str]) -> list[dict[str, object]]:
    """The rows of the other tasks, printed, and what goes into the report."""
    report = []
    for name, (model, suite) in SUITES.items():
        if model in MODELS and (not only or name in only):
            rows = suite(studio, 37 if quick else 11)
            _tell(rows)
            report += [asdict(row) for row in rows]
    return report


def _tell(rows: list[Row]) -> None:
    for row in rows:
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the combinations")
    parser.add_argument("--only", nargs="+", default=[], choices=("t2v", *SUITES), help="some of the tasks")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results")
    args = parser.parse_args()
    if args.save and args.only:
        parser.error("--save keeps all figures; leave out --only")
    started = time.perf_counter()
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as home:
        studio = Studio(Path(home))
        if not args.only or "t2v" in args.only:
            report |= text_report(studio, args.quick)
        report["steered"] = steered_report(studio, args.quick, args.only)
    print(f"{studio.made} videos, {time.perf_counter() - started:.0f} s")
    if args.save:
        save("demo_adherence", report)


if __name__ == "__main__":
    main()

"""``python -m wan_core bench``: how fast this machine is, and how fast diffusers is on it."""

from __future__ import annotations

import argparse
import logging
import sys

import torch

from wan_core.bench import report
from wan_core.bench.cases import CASES, Plan
from wan_core.bench.rivals import require_diffusers
from wan_core.bench.timing import alternate, peak_bytes
from wan_core.manager.devices import choose_device


def main(argv: list[str]) -> int:
    """Measure the transformer, the VAE, the text encoder, loading, attention and the demo on this machine."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    if options.against:
        require_diffusers()
    device = choose_device(options.device)
    torch.set_num_threads(options.threads)
    plan = Plan(device, bool(options.against), bool(options.against) and not options.eager)
    _say(f"{report.device_name(device)}, torch {torch.__version__}, {options.threads} thread(s)")
    _say(report.heading())
    found: dict[str, object] = {}
    for name in options.only or CASES:
        found[name] = _measure(name, plan, options.rounds)
        for line in report.lines(name, found[name]):
            _say(line)
        if options.save:
            report.save({name: found[name]}, device, options.rounds)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wan_core bench", description=main.__doc__)
    parser.add_argument("--against", choices=("diffusers",), help="also measure it, with the same weights")
    parser.add_argument("--eager", action="store_true", help="leave out diffusers with torch.compile")
    parser.add_argument("--save", action="store_true", help="write the figures to benchmarks/results")
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each; the median counts")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; 1 is least disturbed by others")
    return parser


def _measure(name: str, plan: Plan, rounds: int) -> dict[str, object]:
    with CASES[name](plan) as case:
        timings = alternate(case.runs, rounds, plan.device)
        peaks = {who: peak_bytes(run, plan.device) for who, run in case.runs.items()} if case.weighs else {}
        return report.entry(case, timings, peaks, plan.device)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

"""``python -m wan_core bench``: how fast this machine is, and how fast other programs are on it."""

from __future__ import annotations

import argparse
import logging
import sys

import torch

from wan_core.bench import report
from wan_core.bench.agreement import run_once
from wan_core.bench.cases import CASES, Plan
from wan_core.bench.peers import PEERS
from wan_core.bench.timing import alternate, peak_bytes
from wan_core.manager.devices import choose_device


def main(argv: list[str]) -> int:
    """Measure the transformer, the VAE, the text encoder, loading, attention and the demo on this machine."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR)
    against = tuple(peer for name, peer in PEERS.items() if name in options.against)
    for peer in against:
        peer.require()
    device = choose_device(options.device)
    torch.set_num_threads(options.threads)
    plan = Plan(device, against, not options.eager)
    versions = {peer.name: peer.version for peer in against}
    _say(report.machine(device, options.threads, versions))
    _say(report.heading())
    found: dict[str, object] = {}
    for name in options.only or CASES:
        found[name] = _measure(name, plan, options.rounds)
        for line in report.lines(name, found[name]):
            _say(line)
        if options.save:
            report.save({name: found[name]}, device, options.rounds, versions)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wan_core bench", description=main.__doc__)
    parser.add_argument(
        "--against",
        nargs="+",
        choices=PEERS,
        default=(),
        metavar="PROGRAM",
        help=f"also measure {' and '.join(PEERS)}, or one of them, with the same weights",
    )
    parser.add_argument("--eager", action="store_true", help="leave out the others with torch.compile")
    parser.add_argument("--save", action="store_true", help="write the figures to benchmarks/results")
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each; the median counts")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU; 1 is least disturbed by others")
    return parser


def _measure(name: str, plan: Plan, rounds: int) -> dict[str, object]:
    with CASES[name](plan) as case:
        run_once(case, plan.device)
        timings = alternate(case.runs, rounds, plan.device)
        peaks = {who: peak_bytes(run, plan.device) for who, run in case.runs.items()} if case.weighs else {}
        return report.entry(case, timings, peaks, plan.device)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

"""Numbers that are promised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number that is promised, what was measured, and the command that measures it again."""

    what: str
    promised: str
    measured: str = "not yet measured"
    command: str = ""


FIGURES: tuple[Figure, ...] = (
    Figure(
        "Corpus of hostile files",
        "at least 300 files: no crash, no marker, none above 5 s, at most 512 MB more",
        "608 files at every door that they fit: no crash, no marker, none above 5 s; held in CI",
        "python -m pytest tests/faults/test_corpus.py",
    ),
    Figure(
        "Mutations",
        "20,000: no crash, none above 5 s, at most 512 MB more",
        command="python -m benchmarks.fuzz --cases 20000",
    ),
    Figure(
        "Load",
        "50 `gradio_client` and 20 raw clients, 500 jobs: none lost, submit p95 ≤ 1 s, status ≤ 0.5 s",
        command="python benchmarks/soak.py --stages load",
    ),
    Figure(
        "Crashes",
        "200 kills of the worker, 20 of the whole studio: 0 jobs and 0 results lost",
        command="python benchmarks/soak.py --stages kills app",
    ),
    Figure(
        "Recovery",
        "serving ≤ 15 s after a kill, worker back ≤ 10 s",
        command="python benchmarks/soak.py --stages kills app",
    ),
    Figure(
        "Cancellation",
        "waiting ≤ 1 s, loading ≤ 3 s, denoising ≤ one step and 1 s",
        "held by `test_worker.py`, with 2 s more for a busy machine",
        "python -m pytest tests/faults/test_worker.py -k stopped",
    ),
    Figure(
        "Leaks",
        "jobs 20 to 200: ≤ 50 MB, no more files, threads or processes; 100 model swaps ≤ 64 MB",
        command="python benchmarks/soak.py --stages jobs swaps",
    ),
    Figure(
        "Memory",
        "runs out at 200 operations drawn by chance: done all the same, or failed in one sentence with "
        "nothing held; the next try gives the very file",
        command="python benchmarks/soak.py --stages memory",
    ),
    Figure(
        "Attacks",
        "150 requests in three modes: no byte of a canary, no path, no traceback, nothing sent out",
        "971, 1,008, 1,091 requests (local, auth, public): 0 canaries, paths, tracebacks, connections",
        "python -m pytest -s tests/faults/test_attacks.py",
    ),
    Figure(
        "Hostile bodies",
        "2,000 in each of three modes: none answered with 5xx, and the studio goes on",
        "2,000, 2,000, 2,000 (local, auth, public): 0 of 5xx; 100 of 1,500 before they were looked for",
        "python -m pytest -m faults tests/faults/test_hostile_bodies.py",
    ),
)

"""Hundreds of bad files at the real doors: each is refused in a sentence or harmless, and nobody dies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.corpus import Case, write_corpus
from tests.faults.corpus.case import CANARY, MARKER
from tests.faults.doors import DOORS, tried
from wan_core.schema import Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 5.0  # seconds that a file may take; looked at again where others kept the machine busy
MOST_MIB = 512
LONGEST_SENTENCE = 700

Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("corpus")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return write_corpus(folder)


@pytest.fixture(scope="module", params=["web", "worker"])
def side(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def told(side: str, folder: Path, cases: list[Case]) -> Told:
    """What came of every case, in a process like the web's or the worker's; "" is before the first."""
    command = [sys.executable, "-m", "tests.faults.doors", side, str(folder), str(folder / f"home-{side}")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    tried_here = [case for case in cases if case.door in DOORS[side]]
    assert done.returncode == 0, (
        f"died over {tried_here[len(lines) - 1].name}: {done.stderr.decode()[-1500:]}"
    )
    return {line["name"]: line for line in lines}


def test_the_corpus_is_large(cases: list[Case]) -> None:
    assert len(cases) >= 300
    assert sum(case.refused for case in cases) >= 300


def test_every_file_is_refused_in_a_sentence_or_harmless(side: str, told: Told, cases: list[Case]) -> None:
    here = [case for case in cases if case.door in DOORS[side]]
    assert {case.name for case in here} == set(told) - {""}
    strange = [line for line in told.values() if line.get("outcome") == "unexpected"]
    assert not strange
    refused = [case for case in here if case.refused and (side, case.door) != ("web", "lora")]
    assert not [case.name for case in refused if told[case.name]["outcome"] == "used"]
    for line in told.values():
        if line.get("outcome") == "refused":
            words = line["words"]
            assert words.endswith(".") and "\n" not in words and len(words) < LONGEST_SENTENCE, line
            assert CANARY not in words and "Traceback" not in words, line


def test_nothing_is_run_and_nothing_left_behind(told: Told, folder: Path) -> None:
    assert not [path for path in folder.rglob(f"*{MARKER}*")] and not (ROOT / MARKER).exists()
    assert not Path("/tmp", MARKER).exists()


def test_no_file_keeps_anybody_busy(side: str, told: Told, cases: list[Case], folder: Path) -> None:
    slow = [case for case in cases if case.name in told and told[case.name]["seconds"] > LONGEST]
    settings = Settings(home=folder / "again", device="cpu", offline=True)
    for case in slow:
        tries = [tried(case, DOORS[side][case.door], settings)["seconds"] for _ in range(2)]
        assert min(tries) <= LONGEST, f"{case.name}: {tries}"


def test_memory_stays_bounded(told: Told) -> None:
    """Of the process itself, and of every helper and decoder that it started."""
    before = told[""]["own_mib"]
    assert max(line["own_mib"] for line in told.values()) - before <= MOST_MIB
    assert max(line.get("helper_mib", 0) for line in told.values()) <= max(before, MOST_MIB) + MOST_MIB

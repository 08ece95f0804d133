"""Bad files, the same on every machine: ``python -m tests.faults.corpus FOLDER`` writes them all."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.corpus.case import Case
from tests.faults.corpus.media import media_cases
from tests.faults.corpus.pickles import pickle_cases
from tests.faults.corpus.pictures import picture_cases
from tests.faults.corpus.settings_files import settings_cases
from tests.faults.corpus.weights import weights_cases

__all__ = ["Case", "write_corpus"]

_PARTS = (media_cases, picture_cases, weights_cases, pickle_cases, settings_cases)


def write_corpus(folder: Path) -> list[Case]:
    """Write all files below ``folder``, each in a folder of its own, and a list of them, ``cases.json``."""
    cases: list[Case] = []
    for part in _PARTS:
        cases += part(folder / part.__name__.removesuffix("_cases"))
    names = [case.name for case in cases]
    listed = [(case.name, case.door, str(case.path), case.refused) for case in cases]
    (folder / "cases.json").write_text(json.dumps(listed))
    assert len(names) == len(set(names)), "two cases of one name"
    return cases

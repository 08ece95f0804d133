"""A few hundred damaged files; ``python -m benchmarks.fuzz --cases 20000`` is the whole of it."""

from __future__ import annotations

import pytest

from tests.faults.fuzzing import SHARES, fuzz
from tests.faults.mutations import SAMPLES, damaged

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

_CASES = {"safetensors": 200, "gguf": 150, "pth": 150, "png": 100, "json": 120, "mp4": 12, "sqlite": 40}
_MOST_MIB = 512


def test_a_damaged_file_is_the_same_every_time() -> None:
    assert set(SAMPLES) == set(SHARES) == set(_CASES)
    for format in SAMPLES:
        assert damaged(format, 3) == damaged(format, 3) != damaged(format, 4)


@pytest.mark.parametrize("format", _CASES)
def test_damaged_files_are_refused_or_read(format: str) -> None:
    """From numbers of their own, so that every release run reads others, too."""
    tally = fuzz(format, _CASES[format], first=10**6)
    assert not tally.guilty
    assert tally.is_clean and tally.cases == _CASES[format] and tally.extra_mib <= _MOST_MIB
    assert tally.refused and tally.accepted

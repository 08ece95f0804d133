"""The benchmarks' view of another process: what it held, and what of that belonged to no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.watch import watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's accounts of memory")

SIZE = 64 * 2**20
READ_MAPPED = """
import mmap, sys, time
with open(sys.argv[1], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    sum(pages[::4096])
    time.sleep(0.2)
"""


def test_a_mapped_file_counts_as_memory_but_not_as_own(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(SIZE))
    seen = watch([sys.executable, "-c", READ_MAPPED, str(file)])
    assert seen.peak_bytes > SIZE
    assert seen.peak_own_bytes < SIZE // 2


def test_memory_of_a_started_program_counts() -> None:
    child = f"import time; held = bytes([1]) * {SIZE}; time.sleep(0.3); print('held')"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    seen = watch([sys.executable, "-c", parent])
    assert seen.peak_own_bytes > SIZE
    assert seen.stdout == "held\n"


def test_a_failure_is_told_with_what_it_wrote() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        watch([sys.executable, "-c", "raise SystemExit('no weights')"])
    assert failure.value.stderr == "no weights\n"

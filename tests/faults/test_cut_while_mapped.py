"""Weights that become shorter while they are mapped: the kernel kills the reader, and the studio lives on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.conftest import process_executor, wait_for
from tests.manager.test_gguf_file import write_gguf
from wan_core.jobs.executors import ProcessExecutor
from wan_core.jobs.job import JobStatus
from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.schema import GenerationRequest, Settings, WeightsError

pytestmark = pytest.mark.faults

_READER = """
import os, sys
from pathlib import Path
from wan_core.manager.checkpoint_file import open_checkpoint
path = Path(sys.argv[1])
tensors = open_checkpoint(path)
os.truncate(path, 4096)
print(float(tensors["w"].sum()))
"""


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    made = process_executor(Settings(home=tmp_path))
    made.start()
    yield made
    made.stop()
    made.store.close()


@pytest.mark.parametrize("end", ["safetensors", "pth", "gguf"])
def test_the_reader_dies_and_the_next_one_says_why(tmp_path: Path, end: str) -> None:
    path, weight = tmp_path / f"m.{end}", torch.ones(1024, 1024)
    if end == "safetensors":
        save_file({"w": weight}, path)
    elif end == "pth":
        torch.save({"w": weight}, path)
    else:
        write_gguf(path, {"w": np.ones((1024, 1024), np.float32)})
    done = subprocess.run([sys.executable, "-c", _READER, str(path)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGBUS
    with pytest.raises(WeightsError, match=rf"m\.{end} .*cut short"):
        open_checkpoint(path)


def test_a_job_that_meets_it_twice_fails_in_one_sentence_and_the_next_runs(executor: ProcessExecutor) -> None:
    unlucky = executor.submit(GenerationRequest(prompt="cut"))
    innocent = executor.submit(GenerationRequest(prompt="steps=2"))
    job = wait_for(lambda: job if (job := executor.store.get(unlucky)).status.is_final else None)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 2)
    assert job.error == (
        "Given up after 2 attempts: the worker crashed (SIGBUS), most likely because a file that it was "
        "reading became shorter; check the disk and the files of the model in Settings, and download again "
        "what is damaged."
    )
    job = wait_for(lambda: job if (job := executor.store.get(innocent)).status.is_final else None)
    assert (job.status, job.attempts) == (JobStatus.DONE, 1)

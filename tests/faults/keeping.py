"""The worker with the real engine, a checkpoint after every step, and a note of each call of the transformer.

``python -m tests.faults.keeping SETTINGS`` serves a home; the file ``calls`` in it takes a line with the id
of the process for each call.
"""

from __future__ import annotations

import logging
import os
import sys

from wan_core.schema import Settings

CALLS = "calls"


def keeping_command(settings: Settings) -> tuple[str, ...]:
    """Starts such a worker."""
    return sys.executable, "-m", "tests.faults.keeping", settings.model_dump_json()


def calls_of(settings: Settings) -> list[int]:
    """The process of each call so far."""
    return [int(line) for line in (settings.home / CALLS).read_text().split()]


def _serve(settings: Settings) -> None:
    from wan_core.jobs import worker
    from wan_core.models.dit.model import WanDiT
    from wan_core.pipelines import checkpoint

    checkpoint.SECONDS_BETWEEN, checkpoint.SHARE = 0.0, float("inf")
    forward = WanDiT.forward

    def counted(self: WanDiT, *inputs: object) -> object:
        with (settings.home / CALLS).open("a") as calls:
            calls.write(f"{os.getpid()}\n")
        return forward(self, *inputs)

    WanDiT.forward = counted
    worker.main(settings)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    _serve(Settings.model_validate_json(sys.argv[1]))

"""A studio without a page, to be killed: ``python -m tests.faults.small_studio SETTINGS``.

It reads orders from its standard input, one JSON list a line, and answers each on its standard output once it
has been carried out: ``["submit", prompt]`` with the job's id, ``["retry", id]`` and ``["cancel", id]`` with
true or false. The first line that it writes is "ready".
"""

from __future__ import annotations

import json
import logging
import sys

from tests.faults.drawing import drawing_command
from wan_core.jobs.executors import ProcessExecutor
from wan_core.schema import GenerationRequest, Settings

SIZE = {"width": 64, "height": 64, "num_frames": 5, "num_inference_steps": 3}


def main() -> None:
    """Serve until standard input ends."""
    executor = ProcessExecutor(Settings.model_validate_json(sys.argv[1]), drawing_command)
    executor.start()
    print("ready", flush=True)
    for line in sys.stdin:
        what, subject = json.loads(line)
        if what == "submit":
            answer = executor.submit(GenerationRequest(model="demo", prompt=subject, **SIZE))
        else:
            answer = getattr(executor, what)(subject)
        print(json.dumps(answer), flush=True)
    executor.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main()

"""The other end of ``Helpers``: answers questions until its standard input closes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from wan_core.confined.limits import limit_memory, limit_time

Task = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]
"""A question to the values and bytes of its answer."""


def serve(answer: Task, memory: int, cpu_seconds: int) -> None:
    """Answer questions one after the other; what ``answer`` raises ends the process.

    Args:
        answer: makes the answer to a question.
        memory: bytes that all questions together may take beyond what is taken now.
        cpu_seconds: that each may take.
    """
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    limit_memory(memory)
    for line in questions:
        limit_time(cpu_seconds)
        values, data = answer(json.loads(line))
        answers.write(json.dumps(values | {"bytes": len(data)}).encode() + b"\n")
        answers.write(data)
        answers.flush()

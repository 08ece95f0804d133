"""Processes that read other people's files for us, so that what a file does to its reader stays there.

A helper answers questions one at a time, over its pipes, under limits of memory and time. One that dies or
keeps us waiting is replaced; one that has answered waits for the next question, so a question costs
milliseconds.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_core.confined.limits import bare_environment

_CODE_FOLDER = Path(__file__).resolve().parents[2]
_LONGEST_LINE = 64 * 2**20
_MOST_QUESTIONS = 200  # that one process answers: what it has lost of its memory by then goes with it


class HelperDied(Exception):
    """The helper ended over the question: it crashed, or passed a limit."""


class HelperLate(Exception):
    """The helper was ended, because it did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """``values`` as JSON takes them, and bytes beside them."""

    values: dict[str, Any]
    data: bytearray


class Helpers:
    """Helper processes of one kind; safe to use from any thread, and after a fork.

    Args:
        module: what they run, ``python -m module``; it calls ``wan_core.confined.serving.serve``.
        seconds: that an answer may take.
        most: that work at the same time; further questions wait.
    """

    def __init__(self, module: str, seconds: float, most: int = 2) -> None:
        self.module = module
        self.seconds = seconds
        self._room = threading.BoundedSemaphore(most)
        self._guard = threading.Lock()
        self._idle: list[_Helper] = []
        self._owner = os.getpid()
        atexit.register(self.close)

    def ask(self, question: Mapping[str, Any]) -> Answer:
        """What a helper answers.

        Raises:
            HelperDied: it crashed, was given too little memory, or could not be started.
            HelperLate: it took too long.
        """
        with self._room:
            helper = self._take() or _Helper(self.module)
            try:
                answer = helper.ask(question, self.seconds)
            except BaseException:
                helper.end()
                raise
            self._give_back(helper)
        return answer

    def close(self) -> None:
        """End those that wait for a question."""
        with self._guard:
            idle, self._idle = self._idle, []
        for helper in idle if self._owner == os.getpid() else ():
            helper.end()

    def _take(self) -> _Helper | None:
        with self._guard:
            if self._owner != os.getpid():  # the pipes are the parent's
                self._owner, self._idle = os.getpid(), []
            while self._idle:
                helper = self._idle.pop()
                if helper.is_alive():
                    return helper
                helper.end()
        return None

    def _give_back(self, helper: _Helper) -> None:
        if helper.questions >= _MOST_QUESTIONS:
            helper.end()
            return
        with self._guard:
            self._idle.append(helper)


class _Helper:
    """One process."""

    def __init__(self, module: str) -> None:
        self.questions = 0
        self._late = False
        environment = bare_environment()
        paths = filter(None, (str(_CODE_FOLDER), environment.get("PYTHONPATH")))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C is for us to act on
            )
        except OSError as error:
            raise HelperDied(str(error)) from error

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Mapping[str, Any], seconds: float) -> Answer:
        self.questions += 1
        watch = threading.Timer(seconds, self._give_up)
        watch.daemon = True
        watch.start()
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            head = self._process.stdout.readline(_LONGEST_LINE)
            values = json.loads(head)
            data = self._read(values.pop("bytes"))
        except (OSError, ValueError, KeyError, EOFError) as error:
            if self._late:
                raise HelperLate from error
            raise HelperDied(f"exit code {self._process.poll()}") from error
        finally:
            watch.cancel()
        return Answer(values, data)

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was written to a dead one
                pipe.close()
        self._process.wait()

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._process.stdout.readinto(view)
            if not count:
                raise EOFError
            view = view[count:]
        return data

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

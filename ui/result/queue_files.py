"""The queue saved to a file and taken from one, in a thread: media may be large and are all looked at."""

from __future__ import annotations

import contextvars
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ui.context import Context
from ui.links import link
from ui.making.form import sentence
from ui.making.uploads import uploaded
from ui.result.exports import exports_dir, tidy
from ui.serving.limits import LIMITS as SERVED
from wan_core.jobs.queue_file import Line, Loaded, load_queue, save_queue, waiting
from wan_core.jobs.queue_zip import LIMITS
from wan_core.jobs.visitors import VISITOR
from wan_core.schema import InvalidRequest

Answer = dict[str, Any]

_MOST_TASKS = 32
_MOST_LINES = 200  # that are sent to the browser


@dataclass
class _Task:
    """Something that is under way for a visitor; ``at`` is how many jobs of how many are done with."""

    visitor: str
    answer: Callable[[Any], Answer]
    at: tuple[int, int] = (0, 0)
    result: Future[Any] = field(default_factory=Future)


class QueueFiles:
    """Does one thing after the other; the page asks until it is done."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="queue-files")
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def save(self) -> Answer:
        """Begin to write what waits to a file, see ``state``."""
        context, token = self._context, secrets.token_hex(16)
        requests = waiting(context.store)
        if not requests:
            return {"error": context.texts.queue_file.nothing_waits}
        exports = exports_dir(context.settings)
        path = exports / f"queue-{token}" / time.strftime("queue-%Y%m%d-%H%M%S.zip")

        def work(tell: Callable[[int, int], None]) -> tuple[Line, ...]:
            tidy(exports)
            return save_queue(requests, path, context.settings, context.weights, tell)

        return self._begin(token, work, lambda gone: self._saved(path, len(requests), gone))

    def load(self, told: Any) -> Answer:
        """Begin to add the jobs of an upload, see ``state``.

        Raises:
            MediaError: nothing was uploaded here as this.
        """
        context, path = self._context, uploaded(told)
        limits = replace(LIMITS, total=SERVED["public"].upload) if context.is_public else LIMITS

        def work(tell: Callable[[int, int], None]) -> Loaded:
            return load_queue(path, context.settings, context.executor.submit, context.weights, limits, tell)

        return self._begin(secrets.token_hex(16), work, lambda loaded: self._loaded(path.name, loaded))

    def state(self, token: str) -> Answer:
        """How it goes: ``task`` while it is under way, then what came of it, once.

        Raises:
            InvalidRequest, MediaError, StoreError, OSError: it could not be done.
        """
        with self._lock:
            task = self._tasks.get(token)
            if task is None or task.visitor != VISITOR.get():
                return {"error": self._context.texts.queue_file.no_answer}
            if not task.result.done():
                return {"task": token, "done": task.at[0], "total": task.at[1]}
            del self._tasks[token]
        return task.answer(task.result.result())

    def _begin(
        self, token: str, work: Callable[[Callable[[int, int], None]], Any], answer: Callable[[Any], Answer]
    ) -> Answer:
        visitor = VISITOR.get()
        task = _Task(visitor, answer)

        def tell(done: int, total: int) -> None:
            task.at = (done, total)

        with self._lock:
            busy = [other for other in self._tasks.values() if not other.result.done()]
            if len(busy) >= _MOST_TASKS or any(other.visitor == visitor for other in busy):
                return {"error": self._context.texts.queue_file.busy}
            while len(self._tasks) >= 2 * _MOST_TASKS:  # pages that were closed meanwhile
                del self._tasks[next(key for key, other in self._tasks.items() if other.result.done())]
            self._tasks[token] = task
            task.result = self._pool.submit(contextvars.copy_context().run, work, tell)
        return {"task": token, "done": 0, "total": 0}

    def _saved(self, path: Path, count: int, gone: tuple[Line, ...]) -> Answer:
        words, most = self._context.texts.queue_file, SERVED["local"].upload
        lines = self._lines(gone)
        if self._context.owned and path.stat().st_size > most:
            lines.insert(0, words.only_command.format(size=most // 2**20))
        said = words.saved.format(count=count, name=path.name)
        return {"href": link(path), "name": path.name, "words": said, "lines": lines}

    def _loaded(self, name: str, loaded: Loaded) -> Answer:
        words = self._context.texts.queue_file.loaded.format(
            count=len(loaded.jobs), total=loaded.total, name=name[:80]
        )
        lines = self._lines(tuple(sorted((*loaded.refused, *loaded.noted), key=lambda line: line.number)))
        return {"words": words, "lines": lines, "refused": bool(loaded.refused)}

    def _lines(self, lines: tuple[Line, ...]) -> list[str]:
        texts = self._context.texts
        told = []
        for line in lines[:_MOST_LINES]:
            said = " ".join(
                sentence(error, texts) if isinstance(error, InvalidRequest) else texts.said(str(error))
                for error in line.said
            )
            prompt = " ".join(line.prompt.split())
            told.append(texts.queue_file.line.format(number=line.number, prompt=prompt, said=said))
        return told

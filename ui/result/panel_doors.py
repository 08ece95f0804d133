"""What the panel's script may ask and do. What it sends is anybody's, so nothing of it is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.context import Context
from ui.links import link
from ui.making.form import sentence
from ui.result import comparing, drafts
from ui.result.exports import Exports
from wan_core.jobs.job import Job
from wan_core.schema import InvalidRequest, MediaError, StoreError

Answer = dict[str, Any]


class PanelDoors:
    """Each act answers with what the script goes on with, or with an ``error`` in one sentence."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._exports = Exports(context.settings)
        self._acts: dict[str, Callable[[str, Answer], Answer]] = {
            "again": self._again,
            "final": self._final,
            "delete": self._delete,
            "undo": self._undo,
            "export": self._export,
            "compare": self._compare,
        }

    def open(self, does: Any, asked: Any) -> Answer:
        """Do what is asked."""
        asked = asked if isinstance(asked, dict) else {}
        act = self._acts.get(does) if isinstance(does, str) else None
        try:
            return act(_text(asked, "job"), asked) if act else {}
        except InvalidRequest as error:
            texts = self._context.texts
            return {"error": sentence(error, texts) if error.remedy else texts.said(error.problem)}
        except (MediaError, StoreError, OSError) as error:
            return {"error": self._context.texts.said(str(error))}

    def _again(self, job_id: str, asked: Answer) -> Answer:
        self._context.executor.retry(job_id)
        return {"choose": job_id}

    def _final(self, job_id: str, asked: Answer) -> Answer:
        job = self._context.store.get(job_id)
        request = drafts.final_of(job) if job else None
        return {"choose": self._context.executor.submit(request)} if request else {}

    def _delete(self, job_id: str, asked: Answer) -> Answer:
        return {"undo": self._context.store.delete(job_id)}

    def _undo(self, job_id: str, asked: Answer) -> Answer:
        if self._context.store.undelete(job_id):
            return {"choose": job_id}
        return {"error": self._context.texts.panel.too_late}

    def _export(self, job_id: str, asked: Answer) -> Answer:
        """The address and name of a file, or that it is ``pending`` and is to be asked for again."""
        job: Job | None = self._context.store.get(job_id)
        if job is None:
            return {"error": self._context.texts.panel.gone}
        path = self._exports.get(job, _text(asked, "format"))
        return {"href": link(path), "name": path.name} if path else {"pending": True}

    def _compare(self, job_id: str, asked: Answer) -> Answer:
        return comparing.compare(job_id, _text(asked, "other"), self._context)


def _text(values: Answer, name: str) -> str:
    value = values.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""

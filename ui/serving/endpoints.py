"""The HTTP API: ``/generate``, ``/status``, ``/cancel`` and ``/result``, and nothing else of the page.

They pass the queue by, so a plain POST to ``/gradio_api/run/<name>`` answers at once. What is asked for goes
the way of every other door: ``GenerationRequest.parse``, then ``Executor.submit``, which validates it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context

from ui.context import Context
from ui.links import link
from ui.making.uploads import Given, described, uploaded
from ui.serving.endpoint_schema import ANSWERS, FILES_SCHEMA, JOB_SCHEMA, request_schema
from ui.serving.gate_answers import STATUS
from wan_core.catalog import find_model
from wan_core.cli_request import infer_task
from wan_core.jobs.job import Job, JobStatus
from wan_core.jobs.tidying import tidy_inputs
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError, StoreError
from wan_core.schema.inputs import MEDIA_FIELDS, InputName

Answer = dict[str, Any]


class Endpoints:
    """What the endpoints do; their docstrings are what `view API` and MCP clients read."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def generate(self, request: dict[str, Any], files: dict[str, Any] | None = None) -> str:
        """Queue a video or picture to be made with a Wan2.1 model on this machine, and return its job's id
        at once. Making it takes minutes: ask `status` every few seconds until the status is done, then
        `result`. An error says in one sentence which field is refused and what to do.

        Args:
            request: what to make. `prompt` is all that is needed; `model` is an id such as
                wan2.1-t2v-1.3b, and what is left out is the model's own default.
            files: pictures and videos that it is made from, by field. Each was uploaded first (POST
                /gradio_api/upload) and is {"path": what the upload returned, "meta": {"_type":
                "gradio.FileData"}}; `references` is a list of them. Addresses and other paths are refused.
        """
        settings, store = self._context.settings, self._context.store
        wanted = _read(request, _kept(files, InputStore(settings.inputs_dir)))
        job_id = self._context.executor.submit(wanted)
        tidy_inputs(store, InputStore(settings.inputs_dir))
        return job_id

    def status(self, job: str) -> Answer:
        """How far a job is: its status (queued, running, done, failed, cancelled), the stage and step, the
        seconds that this stage still takes, how many jobs go before it, and the error of a failed one.

        Args:
            job: the id that `generate` returned.
        """
        found = self._job(job)
        is_waiting, left = found.status is JobStatus.QUEUED, found.seconds_left
        return {
            "job": found.id,
            "status": str(found.status),
            "stage": found.stage and str(found.stage),
            "step": found.step,
            "total": found.total,
            "seconds_left": None if left is None else round(left, 1),
            "jobs_before": self._context.store.jobs_before(found) if is_waiting else 0,
            "message": found.message,
            "error": found.error,
        }

    def cancel(self, job: str) -> bool:
        """Stop a job, at once if it waits and within a step if it runs. Returns whether there was anything
        to stop; what is finished stays.

        Args:
            job: the id that `generate` returned.
        """
        return self._context.executor.cancel(self._job(job).id)

    def result(self, job: str) -> Answer:
        """What a finished job made: its file, the complete request with the seed that was used, which makes
        the same again, and the seconds that each stage took.

        Args:
            job: the id that `generate` returned.
        """
        found = self._job(job)
        if found.status is not JobStatus.DONE or found.result is None:
            more = f": {found.error}" if found.error else "; ask status until it is done"
            raise gr.Error(f"Job {found.id} is {found.status}{more}", print_exception=False)
        made = found.result
        return {
            "files": [described(path, link) for path in _files(made.video)],
            "request": made.request.model_dump(mode="json"),
            "seconds": dict(made.seconds),
            "warnings": list(made.warnings),
        }

    def _job(self, job: Any) -> Job:
        found = self._context.store.get(job) if isinstance(job, str) else None
        if found is None:
            STATUS.get([]).append(404)
            raise gr.Error(f"There is no job {str(job)[:40]!r} here.", print_exception=False)
        return found


def add_endpoints(context: Context) -> None:
    """Add them to the page that is being built."""
    endpoints, root = Endpoints(context), get_blocks_context()
    asked = {
        "generate": (request_schema(), FILES_SCHEMA),
        **dict.fromkeys(("status", "cancel", "result"), (JOB_SCHEMA,)),
    }
    for name, schemas in asked.items():
        values = (None, {})
        root.set_event_trigger(
            [],
            _in_a_sentence(getattr(endpoints, name)),
            [Given(value, schema, schema["title"]) for value, schema in zip(values, schemas, strict=False)],
            [Given(None, ANSWERS[name], name)],
            preprocess=False,
            postprocess=False,
            api_name=name,
            queue=False,
            show_progress="hidden",
            api_visibility="public",
        )


def _in_a_sentence(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """What is refused becomes an error with that sentence; all other errors stay the studio's own."""

    @wraps(endpoint)
    def answer(*arguments: Any) -> Any:
        try:
            return endpoint(*arguments)
        except (InvalidRequest, MediaError, StoreError, OSError) as error:
            STATUS.get([]).append(503 if isinstance(error, StoreError | OSError) else 400)
            raise gr.Error(str(error), print_exception=False) from error

    return answer


def _read(request: Any, files: Mapping[str, Any]) -> GenerationRequest:
    """The request of untrusted JSON; without a task it is what the model does with what is given.

    Raises:
        InvalidRequest: naming the first field at fault.
    """
    if not isinstance(request, dict):
        raise InvalidRequest("request", f"{str(request)[:80]!r} is no object", 'Send {"prompt": "..."}.')
    if twice := sorted(set(request) & set(files)):
        raise InvalidRequest(twice[0], "it is given both by name and as a file", "Leave one of them out.")
    values = {**{str(name): value for name, value in request.items()}, **files}
    if "task" not in values:
        model = values.get("model", GenerationRequest().model)
        values["task"] = infer_task(find_model(str(model)), set(values))
    return GenerationRequest.parse(values)


def _kept(files: Any, store: InputStore) -> dict[str, InputName | list[InputName]]:
    """The media fields of uploaded files, which are kept.

    Raises:
        InvalidRequest: a field takes no file.
        MediaError: a file was not uploaded, or is none that can be used.
    """
    if files is not None and not isinstance(files, dict):
        raise InvalidRequest("files", f"{str(files)[:80]!r} is no object", 'Send {"image": {...}}, or {}.')
    kept: dict[str, InputName | list[InputName]] = {}
    for name, given in (files or {}).items():
        if name not in MEDIA_FIELDS:
            raise InvalidRequest(
                "files", f"{str(name)[:40]!r} takes no file", f"Use {', '.join(sorted(MEDIA_FIELDS))}."
            )
        if (name == "references") != isinstance(given, list):
            kind = "is a list of files" if name == "references" else "is one file"
            raise InvalidRequest("files", f"{name} {kind}", "Send it so.")
        if isinstance(given, list):
            kept[name] = [store.keep(uploaded(one)) for one in given]
        elif given is not None:
            kept[name] = store.keep(uploaded(given))
    return kept


def _files(result: Path) -> list[Path]:
    """The file of a result, or those of its folder."""
    paths = sorted(result.iterdir()) if result.is_dir() else [result]
    return [path for path in paths if path.is_file()]

"""Rows of the store -> frozen values.

A history outlives the versions that wrote it, so reading is lenient: what cannot be read takes its default.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from wan_core.jobs.job import UNFINISHED, Job, JobStatus, Machine, WorkerState, WorkerStatus
from wan_core.schema import GenerationRequest, GenerationResult, Stage
from wan_core.schema.settings import Profile

log = logging.getLogger(__name__)

MACHINE = TypeAdapter(Machine)


_LEVELS = frozenset(get_args(Profile))


@dataclass(frozen=True)
class JobFiles:
    """Where a job's files lie, by its id."""

    preview: Callable[[str], Path]
    latents: Callable[[str], Path]
    log: Callable[[str], Path]


def job_from_row(row: sqlite3.Row, files: JobFiles) -> Job:
    """The job in a row of ``jobs``."""
    status, latents, log_file = JobStatus(row["status"]), files.latents(row["id"]), files.log(row["id"])
    return Job(
        id=row["id"],
        sequence=row["sequence"],
        status=status,
        request=request_of(json_object(row["request"])),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        updated=row["updated"],
        attempts=row["attempts"],
        cancel_requested=row["cancel_requested"] is not None,
        stage=Stage(row["stage"]) if row["stage"] in set(Stage) else None,
        step=row["step"],
        total=row["total"],
        seconds=row["seconds"],
        message=row["message"],
        preview=files.preview(row["id"]) if row["preview_version"] else None,
        preview_version=row["preview_version"],
        result=_result(row["result"]) if row["result"] else None,
        error=row["error"],
        profile=row["profile"] if row["profile"] in _LEVELS else None,
        lower=row["lower"] if row["lower"] in _LEVELS else None,
        latents=latents if status in UNFINISHED and latents.is_file() else None,
        log=log_file if status in UNFINISHED and log_file.is_file() else None,
        position=row["position"],
        favourite=bool(row["favourite"]),
        tags=tags_of(row["tags"]),
        deleted=row["deleted"],
    )


def worker_from_row(row: sqlite3.Row) -> WorkerStatus:
    """The status in the one row of ``worker``."""
    return WorkerStatus(
        state=WorkerState(row["state"]),
        pid=row["pid"],
        heartbeat=row["heartbeat"],
        device=row["device"],
        memory_used=row["memory_used"],
        memory_total=row["memory_total"],
        components=json_object(row["components"]),
        message=row["message"],
        machine=_machine(row["machine"]),
    )


def tags_of(text: str) -> tuple[str, ...]:
    """The tags in a row."""
    try:
        values = json.loads(text)
    except ValueError:
        return ()
    return tuple(tag for tag in values if isinstance(tag, str)) if isinstance(values, list) else ()


def _machine(text: str) -> Machine | None:
    try:
        return MACHINE.validate_json(text)
    except ValidationError:  # there was none yet, or it is another version's
        return None


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in a text; empty where there is none."""
    try:
        value = json.loads(text)
    except ValueError:
        log.warning("A row of the job store holds no readable JSON: %.80r", text)
        return {}
    return value if isinstance(value, dict) else {}


def request_of(values: dict[str, Any]) -> GenerationRequest:
    """The request in ``values``; fields that this version does not know or accept fall to their defaults."""
    values = {name: value for name, value in values.items() if name in GenerationRequest.model_fields}
    try:
        return GenerationRequest.model_validate(values)
    except ValidationError as error:
        refused = {problem["loc"][0] for problem in error.errors(include_url=False) if problem["loc"]}
        return GenerationRequest.model_validate({n: v for n, v in values.items() if n not in refused})


def _result(text: str) -> GenerationResult | None:
    values = json_object(text)
    request = values.get("request")
    known = {name: value for name, value in values.items() if name in GenerationResult.model_fields}
    known["request"] = request_of(request if isinstance(request, dict) else {})
    try:
        return GenerationResult.model_validate(known)
    except ValidationError as error:
        log.warning("A result in the job store cannot be read: %s", error)
        return None

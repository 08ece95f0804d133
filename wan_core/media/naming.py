"""Names of new files: a template with fields, made harmless, and never one that is taken.

A name is one part of a path in every file system: no separators, no reserved words, at most
``LONGEST_STEM`` bytes, which leaves room for a counter and every ending.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from wan_core.schema import GenerationRequest
from wan_core.schema.output import DEFAULT_NAME, SUFFIXES

LONGEST_STEM = 80
"""Bytes of UTF-8; with a counter and the ending of a poster a name stays below 100."""

RESERVED_SUFFIX = ".reserved"
"""What follows a stem in the hidden file that holds the name, see ``wan_core.media.reserving``."""

_JOB_LENGTH = 12
_FIELD_BYTES = {"prompt": 48, "model": 40}
_FIELD = re.compile(r"\{(\w+)\}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def suffix_of(request: GenerationRequest) -> str:
    """What the name of a request's file ends with; a folder of frames has nothing there."""
    return f".{request.image_format}" if request.task == "t2i" else SUFFIXES[request.video_format]


def new_path(folder: Path, request: GenerationRequest, job_id: str) -> Path:
    """A new file for a request, named by its own template.

    No file in ``folder`` has its stem, whatever its ending and case: a poster or a sidecar of another
    result is never in the way.
    """
    values = {
        "job": _job(job_id),
        "seed": request.seed,
        "model": request.model,
        "task": request.task,
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "frames": request.num_frames,
        "fps": request.fps,
        "steps": request.num_inference_steps,
    }
    return unused(folder, filled(request.filename, values), suffix_of(request))


def new_video_path(folder: Path, job_id: str, suffix: str = ".mp4") -> Path:
    """A name that no file in ``folder`` has: local time, job id, and a counter when both collide."""
    return unused(folder, filled("", {"job": _job(job_id)}), suffix)


def filled(template: str, values: Mapping[str, object]) -> str:
    """A template with its fields filled in, as a harmless stem; local date and time are always there."""
    now = datetime.now()
    known = {**values, "date": f"{now:%Y%m%d}", "time": f"{now:%H%M%S}"}

    def fill(match: re.Match[str]) -> str:
        value = str(known.get(match[1], ""))
        return _cut(_plain(value), _FIELD_BYTES.get(match[1], LONGEST_STEM))

    return safe_stem(_FIELD.sub(fill, template.strip() or DEFAULT_NAME))


def safe_stem(text: str) -> str:
    """A text as a name without ending that any file system takes; ``video`` where nothing is left."""
    stem = _cut(_plain(text).lstrip("-"), LONGEST_STEM)
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem or "video"


def unused(folder: Path, stem: str, suffix: str) -> Path:
    """``folder/stem+suffix``, with a counter if anything there has that stem."""
    taken = _stems(folder)
    name, copy = stem, 1
    while name.casefold() in taken:
        copy += 1
        name = f"{stem}-{copy}"
    return folder / f"{name}{suffix}"


def _stems(folder: Path) -> set[str]:
    """What the names in a folder begin with, up to each of their full stops, in one case."""
    found: set[str] = set()
    if not folder.is_dir():
        return found
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(RESERVED_SUFFIX):
                name = name.removeprefix(".")
            words = unicodedata.normalize("NFC", name).casefold().split(".")
            found.update(".".join(words[:count]) for count in range(1, len(words) + 1))
    return found


def _plain(text: str) -> str:
    """Letters of every script, digits, and what joins them; anything else is an underscore."""
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(
        char if char in " .,-_+=()[]&'@#~!" or unicodedata.category(char)[0] in "LMN" else "_"
        for char in composed
    )
    return re.sub(r"_+", "_", re.sub(r"\s+", " ", kept)).strip(" ._")


def _cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, never within a character."""
    return text.encode()[:most].decode(errors="ignore").rstrip(" ._")


def _job(job_id: str) -> str:
    return "".join(char for char in job_id if char.isascii() and char.isalnum())[:_JOB_LENGTH] or "video"

"""What each tab of the page made last, in the home: another browser on this machine starts from it."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

from wan_core.media.atomic import whole_file
from wan_core.schema import GenerationRequest, Settings

log = logging.getLogger(__name__)

MAX_BYTES = 4 * 2**20
"""What is read at most; a request is a tenth of it."""

_writing = threading.Lock()


def kept_forms(settings: Settings) -> dict[str, dict[str, Any]]:
    """Key of a tab -> the values of its last request, as they were written; not checked."""
    path = _path(settings)
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: form for key, form in values.items() if isinstance(form, dict)}


def keep_form(settings: Settings, key: str, request: GenerationRequest, **more: Any) -> None:
    """Keep the last request of a tab, and ``more``; a disk that refuses costs the memory of it alone."""
    with _writing:
        forms = {**kept_forms(settings), key: {**request.model_dump(mode="json"), **more}}
        try:
            with whole_file(_path(settings)) as partial:
                partial.write_text(json.dumps(forms, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            log.warning("The settings used last could not be kept: %s", error)


def _path(settings: Settings) -> Path:
    return settings.home / "forms.json"

"""The settings that outlive a session, in the home's ``settings.json``. Imports no torch."""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wan_core.media.atomic import whole_file
from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.settings import setting_knobs

log = logging.getLogger(__name__)

FILE_VERSION = 1
_VERSION = "version"
_MAX_BYTES = 2**20


class KeptSettings:
    """The settings of a home, as they are now; safe to use from any thread.

    What the file does not say is as in ``base``. A file that cannot be read, or that a newer version has
    written, is set aside as ``settings.json.bad``; single values that are refused fall to their defaults,
    and a copy of the file is set aside. Keys that this version does not know are kept in the file.

    Args:
        base: the home, and what the command line says.

    Attributes:
        notice: what was wrong with the file, in one sentence; empty if nothing was.
    """

    def __init__(self, base: Settings) -> None:
        self.path = base.home / "settings.json"
        self.notice = ""
        self._base = base
        self._lock = threading.Lock()
        self._unknown: dict[str, Any] = {}
        self._current = self._read()

    @property
    def current(self) -> Settings:
        return self._current

    def change(self, values: dict[str, Any]) -> Settings:
        """Keep new values of some settings, whole and on the disk; returns all settings.

        Raises:
            InvalidRequest: naming the first setting that is refused; nothing is changed.
            OSError: the file cannot be written; nothing is changed.
        """
        with self._lock:
            settings = changed(self._current, values)
            self._write(settings)
            self._current = settings
        return settings

    def _write(self, settings: Settings) -> None:
        kept = settings.model_dump(mode="json", include=set(setting_knobs()))
        text = json.dumps({_VERSION: FILE_VERSION, **self._unknown, **kept}, indent=2, ensure_ascii=False)
        with whole_file(self.path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")

    def _read(self) -> Settings:
        try:
            found = self._parse()
        except FileNotFoundError:
            return self._base
        except (OSError, ValueError, RecursionError) as error:
            self._set_aside(str(error), f"The settings in {self.path.name} cannot be used ({error})")
            return self._base
        known = {name: found[name] for name in setting_knobs() if name in found}
        self._unknown = {name: value for name, value in found.items() if name not in (*known, _VERSION)}
        if self._unknown:
            log.warning("%s holds unknown settings, which are kept: %s", self.path, ", ".join(self._unknown))
        try:
            return changed(self._base, known)
        except InvalidRequest:
            return self._without_refused(known)

    def _parse(self) -> dict[str, Any]:
        """What the file says.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds no settings that this version understands.
        """
        if self.path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        found = json.loads(self.path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        version = found.get(_VERSION, FILE_VERSION)
        if not isinstance(version, int) or version > FILE_VERSION:
            raise ValueError(f"it is of version {version!r:.20}, this Wan Studio knows {FILE_VERSION}")
        return found

    def _without_refused(self, values: dict[str, Any]) -> Settings:
        """The settings with the values that are fine, one by one."""
        settings, refused = self._base, []
        for name, value in values.items():
            try:
                settings = changed(settings, {name: value})
            except InvalidRequest:
                refused.append(name)
        names = ", ".join(refused)
        self._set_aside(names, f"{self.path.name} holds values that are refused ({names})")
        with suppress(OSError):
            self._write(settings)
        return settings

    def _set_aside(self, reason: str, sentence: str) -> None:
        bad = _unused(self.path)
        try:
            os.replace(self.path, bad)
        except OSError as error:
            self.notice = (
                f"{sentence}, and the file cannot be set aside ({error.strerror}); defaults are used."
            )
        else:
            self.notice = f"{sentence}; defaults are used instead, and the file is kept as {bad.name}."
        log.error("%s: %s", self.path, reason)


def changed(settings: Settings, values: dict[str, Any]) -> Settings:
    """The settings with other values, from whatever they were written as.

    Raises:
        InvalidRequest: naming the first setting that is refused.
    """
    try:
        return Settings.model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        raise InvalidRequest(field, f"{str(first['input'])[:80]!r} is refused", f"{first['msg']}.") from error


def _unused(path: Path) -> Path:
    """``settings.json.bad``, or a numbered name beside it where that is taken."""
    bad = path.with_name(f"{path.name}.bad")
    number = 1
    while bad.exists():
        number += 1
        bad = path.with_name(f"{path.name}.{number}.bad")
    return bad

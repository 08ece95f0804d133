"""What may write prompts out: nothing unless the person has said so. An endpoint's key is kept here only.

The file is of its own, and only its owner may read it: the other settings go to the worker and into logs.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from wan_core.media.atomic import partial_file, settle
from wan_core.schema import InvalidRequest

log = logging.getLogger(__name__)

FILE_MODE = 0o600
_MAX_BYTES = 64 * 1024

Kind = Literal["off", "local", "endpoint"]


class EnhancerSettings(BaseModel):
    """Who writes: nobody, a language model on this machine, or an OpenAI-compatible endpoint.

    ``local_model`` is a folder, or the name of a model that is in the hub cache already.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=2000, hide_input_in_errors=True)

    kind: Kind = "off"
    local_model: str = ""
    url: str = ""
    endpoint_model: str = ""
    key: SecretStr = SecretStr("")
    seconds: float = Field(60.0, ge=1, le=600)

    @field_validator("local_model", "url", "endpoint_model")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if any(character < " " for character in text):
            raise ValueError("write it in one line")
        return text.strip()

    @field_validator("url")
    @classmethod
    def _web_address(cls, text: str) -> str:
        if text:
            check_url(text)
        return text.rstrip("/")

    @field_validator("key")
    @classmethod
    def _header(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if any(not "!" <= character <= "~" for character in text):
            raise ValueError("a key has no spaces and no other alphabets")
        return SecretStr(text)

    @property
    def shown(self) -> dict[str, Any]:
        """What a page may be told: all but the key."""
        return {**self.model_dump(exclude={"key"}), "has_key": bool(self.key.get_secret_value())}

    @property
    def is_on(self) -> bool:
        return self.kind != "off"


def check_url(text: str) -> None:
    """Refuse what is no address of an endpoint.

    Raises:
        ValueError: with what it should be.
    """
    remedy = "write http://... or https://..., with nothing before the host's name"
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError as error:
        raise ValueError(remedy) from error
    if not fine or parts.username or parts.password or parts.query or parts.fragment or " " in text:
        raise ValueError(remedy)


class KeptEnhancer:
    """The settings of a home, as they are now; safe to use from any thread.

    A file that cannot be used is no error: nothing is on then, and the next change writes it anew.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "enhancer.json"
        self._lock = threading.Lock()
        self._current = self._read()

    @property
    def current(self) -> EnhancerSettings:
        return self._current

    def change(self, values: dict[str, Any]) -> EnhancerSettings:
        """Keep new values of some settings.

        A key is for the host that it was given for: where the address comes to name another one and no new
        key is given, the old one is forgotten.

        Raises:
            InvalidRequest: naming the first that is refused; nothing is changed.
            OSError: the file cannot be written; nothing is changed.
        """
        with self._lock:
            before = self._current
            after = _parsed({**_plain(before), **values})
            if "key" not in values and _origin(after.url) != _origin(before.url):
                after = after.model_copy(update={"key": SecretStr("")})
            self._write(after)
            self._current = after
        return after

    def _write(self, settings: EnhancerSettings) -> None:
        with partial_file(self.path.parent, self.path.suffix) as partial:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(_plain(settings), file, indent=2, ensure_ascii=False)
            settle(partial, self.path)

    def _read(self) -> EnhancerSettings:
        try:
            if self.path.stat().st_size > _MAX_BYTES:
                raise ValueError("it is too large")
            found = json.loads(self.path.read_bytes())
            settings = _parsed(found if isinstance(found, dict) else {})
        except FileNotFoundError:
            return EnhancerSettings()
        except (OSError, ValueError, RecursionError, InvalidRequest):
            log.warning("%s cannot be used; prompts are not written out.", self.path)
            return EnhancerSettings()
        with suppress(OSError):
            self.path.chmod(FILE_MODE)
        return settings


def _plain(settings: EnhancerSettings) -> dict[str, Any]:
    return {**settings.model_dump(), "key": settings.key.get_secret_value()}


def _parsed(values: dict[str, Any]) -> EnhancerSettings:
    try:
        return EnhancerSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        remedy = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(
            str(first["loc"][0]), "this is refused", f"{remedy[:1].upper()}{remedy[1:]}."
        ) from None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()

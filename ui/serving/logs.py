"""The studio's log: a file that is kept small, in which no secret is written down."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MOST_BYTES, _KEPT = 5_000_000, 4
_SECRETS = re.compile(
    r"(?i)(\bhf_[a-z0-9]{8,}|\bsk-[\w-]{8,}|"
    r"(?<=authorization: )\S+ ?\S*|(?<=authorization=)\S+|(?<=bearer )[\w.~+/-]+=*|"
    r"(?<=password=)[^\s&;,]+|(?<=token=)[^\s&;,]+|(?<=__sign=)[^\s&;,]+|(?<=api_key=)[^\s&;,]+|"
    r"(?<=wan-studio-visitor=)[\w-]+|(?<=//)[^/\s:@]+:[^/\s@]+(?=@)|(?<=made/)[0-9a-f]{40})"
)


class Redacting(logging.Formatter):
    """A formatter that leaves out what looks like a secret, and ``known`` ones."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        super().__init__(_FORMAT)
        self._known = [secret for secret in known if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The line, with ``[secret]`` in the place of each; a traceback's, too."""
        text = super().format(record)
        for secret in self._known:
            text = text.replace(secret, "[secret]")
        return _SECRETS.sub("[secret]", text)


def begin_logging() -> None:
    """Write to the terminal, quietly where others are loud."""
    terminal = logging.StreamHandler()
    terminal.setFormatter(Redacting())
    logging.basicConfig(level=logging.INFO, handlers=[terminal])
    logging.getLogger("httpx").setLevel(logging.WARNING)


def keep_log(folder: Path, secrets: Iterable[str] = ()) -> Path:
    """Write to ``studio.log`` in a folder, too; returns its path.

    Five files of five megabytes at most. What cannot be written is not: a full disk costs no request.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "studio.log"
    file = RotatingFileHandler(path, maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)
    redacting = Redacting(secrets)
    file.setFormatter(redacting)
    root = logging.getLogger()
    for handler in root.handlers:
        handler.setFormatter(redacting)
    root.addHandler(file)
    logging.raiseExceptions = False
    return path

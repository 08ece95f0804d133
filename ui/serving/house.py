"""What the gate knows of the studio behind it, and what it has counted."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from ui.serving.access import Access, Names
from ui.serving.file_names import FileNames
from ui.serving.gate_answers import headers_for
from ui.serving.gate_json import Functions
from ui.serving.limits import LIMITS, Limits, Room, Throttle

_SOURCES = Path(__file__).resolve().parents[2]

Probe = Callable[[Headers], Response]
"""What answers an address of our own."""


@dataclass
class House:
    """One studio that is served.

    Attributes:
        access: who may come.
        home: the studio's folder, whose uploads and results are served.
        uploads: the folder of uploads.
        limits: how much may be asked for; None are those of the mode.
        functions: the listeners of each page, by language; filled once the pages are open.
        probes: what answers the addresses of our own.
        answered: how many answers had which status.
        session: what programs that bring none have in common, see ``Gate._call``.
    """

    access: Access
    home: Path
    uploads: Path
    limits: Limits | None = None
    functions: dict[str, Functions] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    answered: Counter[int] = field(default_factory=Counter)
    session: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.limits = self.limits or LIMITS[self.access.mode]
        self.names, self.files = Names(self.access), FileNames(self.home)
        self.room = Room(self.uploads, self.limits)
        self.logins = Throttle(self.limits.logins)
        self.posts, self.all_posts = Throttle(self.limits.posts), Throttle(self.limits.all_posts)
        self.streams: Counter[str] = Counter()
        self.headers = headers_for(self.access.space)

    def without_places(self, body: bytes) -> bytes:
        """An answer in which nothing says where the studio lies, should a sentence of it name a file."""
        for place in (self.home, _SOURCES):
            body = body.replace(str(place).encode(), b"...")
        return body

    def path_of(self, name: str, visitor: str) -> str | None:
        """The path of the file that a visitor calls so; None if there is none that is the visitor's."""
        path = self.files.path(name, visitor)
        return None if path is None else str(path)

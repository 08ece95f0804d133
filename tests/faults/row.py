"""A fault or an attack, and what the studio promises then."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL, AUTH, PUBLIC = "local", "auth", "public"
EVERY = (LOCAL, AUTH, PUBLIC)


@dataclass(frozen=True)
class Row:
    """A fault or an attack.

    Attributes:
        number: of the row, 1 to 44.
        case: what happens or is done.
        promise: what the studio then does.
        tests: ids of the tests that prove it, ``file::function``.
        modes: in which these tests hold: this machine alone, behind a login, open to everybody.
        gap: what is not proved, in a sentence; empty where nothing is known to be missing.
    """

    number: int
    case: str
    promise: str
    tests: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    gap: str = ""

"""The body of a request: as long as it says, there in time, and read once for all that look at it."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Message, Receive


class TooSlow(Exception):
    """A body drips in, or stopped coming."""


class TooLarge(Exception):
    """A body is larger than it may be."""


class Gone(Exception):
    """Whoever asked has left before saying all of it."""


async def read_body(receive: Receive, most: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        TooLarge, TooSlow, Gone: it has more than ``most`` bytes, takes over ``seconds``, or breaks off.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise TooLarge
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise TooSlow from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read once more, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def going_on(receive: Receive, most: int, seconds: float, slowest: float = 20_000.0) -> Receive:
    """What passes a large body on while it keeps coming.

    ``slowest`` is in bytes a second, on the whole, after the first ``seconds``; it raises as ``read_body``.
    """
    began, size, ended = time.monotonic(), 0, False

    async def part() -> Message:
        nonlocal size, ended
        if ended:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        size += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if size > most:
            raise TooLarge
        if not ended and time.monotonic() - began > seconds + size / slowest:
            raise TooSlow
        return message

    return part

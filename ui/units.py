"""Numbers as people read them."""

from __future__ import annotations

from math import ceil, floor, log10

_BYTE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def in_bytes(count: float) -> str:
    """17_567_000_000 -> "17.6 GB" (decimal, as disks and downloads are labelled)."""
    for size, unit in _BYTE_UNITS:
        if count >= size:
            amount = count / size
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"
    return f"{count:.0f} B"


def in_time(seconds: float, units: tuple[str, str, str]) -> str:
    """How long something takes, to two figures, in the page's seconds, minutes and hours.

    "8 s", "4 min", "1 h 20 min".
    """
    second, minute, hour = units
    if seconds < 90:
        return f"{max(ceil(seconds), 1)} {second}"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} {minute}"
    hours, rest = divmod(minutes, 60)
    return f"{hours} {hour} {rest} {minute}" if rest else f"{hours} {hour}"


def in_seconds(seconds: float) -> str:
    """A short span in seconds, without the unit: "0.34", "5.1", "12"."""
    if seconds >= 10:
        return f"{seconds:.0f}"
    return f"{seconds:.1f}" if seconds >= 1 else f"{seconds:.2f}"


def in_milliseconds(seconds: float) -> str:
    """To three figures, without the unit: "8.25", "31.4", "268", "1234"."""
    amount = seconds * 1e3
    return f"{amount:.{max(0, 2 - floor(log10(amount)))}f}"

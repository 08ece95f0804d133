"""How much larger the file's picture is, and by what: one choice for two fields of a request.

Its value is a text: the factor alone is Lanczos ("2"), with a file behind it a learnt upscaler
("4 RealESRGAN_x4plus.pth").
"""

from __future__ import annotations

import re
from typing import Any

from ui.context import Context
from ui.strings import Texts
from wan_core.schema import GenerationRequest, InvalidRequest, Settings
from wan_core.upscaling.shelf import INSTALL, is_installed, list_upscalers

FACTORS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
"""What is offered by Lanczos; anything else may be typed."""

_TIMES = re.compile(r"(?<!\d)([1248])x|x([1248])(?!\d)", re.IGNORECASE)
_BY_SCALE = {"1": (1, 2), "2": (2,), "4": (2, 4), "8": (2, 4)}
"""What an upscaler's file says that it is made for -> what is offered by it."""


def to_value(request: GenerationRequest) -> str:
    """The choice that gives a request's fields again."""
    return f"{request.upscale:g} {request.upscaler}".rstrip()


def to_fields(value: Any) -> dict[str, Any]:
    """The fields that a choice stands for.

    Raises:
        InvalidRequest: it begins with no number.
    """
    factor, _, name = str(value if value is not None else "1").strip().partition(" ")
    try:
        return {"upscale": float(factor.rstrip("x×") or 1), "upscaler": name.strip()}
    except ValueError as error:
        raise InvalidRequest(
            "upscale", f"{factor[:40]!r} is no number", "Write how many times larger, such as 2."
        ) from error


def choices(texts: Texts, settings: Settings | None = None) -> list[tuple[str, str]]:
    """(title, value) of Lanczos, and of each upscaler in the folders of the settings.

    The titles of what cannot be used on this machine say so.
    """
    words = texts.enlarging
    offered = [(words.plain.format(factor=f"{factor:g}"), f"{factor:g}") for factor in FACTORS]
    offered[0] = (words.off, offered[0][1])
    for name in list_upscalers(settings) if settings else ():
        for factor in _factors(name):
            title = words.learnt.format(factor=f"{factor:g}", name=name)
            shown = title if is_installed() else texts.title_absent.format(title=title)
            offered.append((shown, f"{factor:g} {name}"))
    return offered


def _factors(name: str) -> tuple[float, ...]:
    found = _TIMES.search(name)
    return _BY_SCALE[found[1] or found[2]] if found else (2, 4)


def offer(context: Context) -> dict[str, Any]:
    """What the control offers on this machine, and below its label what is missing for more."""
    texts, settings = context.texts, context.settings
    told = [texts.names["upscale"].help]
    if context.owned and not is_installed():
        told.append(texts.enlarging.install.format(command=INSTALL))
    if context.owned and not list_upscalers(settings):
        told.append(texts.enlarging.no_files.format(folder=settings.upscalers_dir))
    return {"choices": choices(texts, settings), "info": " ".join(told)}

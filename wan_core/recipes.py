"""A request as a command or a piece of Python that makes the same again. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wan_core.cli_request import option_of
from wan_core.schema import GenerationRequest, Settings, knobs
from wan_core.schema.crops import Crops
from wan_core.schema.inputs import MEDIA_FIELDS, InputName
from wan_core.schema.lora import LoraUse
from wan_core.schema.settings import default_home
from wan_core.schema.windows import WindowOptions

Place = Callable[[InputName], str]
"""Where the file of an input is, as it is written."""


def as_command(request: GenerationRequest, settings: Settings, place: Place) -> str:
    """The command that makes a request on this machine, for a POSIX shell; settings kept in the home count
    there, too.
    """
    words = ["python", "-m", "wan_core", "generate"]
    if settings.home != default_home():
        words += ["--home", str(settings.home)]
    for name, value in _told(request, place).items():
        words += _option(name, value)
    return shlex.join(words)


def as_python(request: GenerationRequest, settings: Settings, place: Place) -> str:
    """The same with ``WanPipeline``."""
    told = _told(request, place)
    model, prompt = told.pop("model"), told.pop("prompt", "")
    home = settings.home != default_home()
    lines = ["from wan_core.api import WanPipeline"]
    if home:
        lines.append("from wan_core.schema import Settings")
    given = f", settings=Settings(home={str(settings.home)!r})" if home else ""
    lines += ["", f"pipe = WanPipeline.load({model!r}{given})", "result = pipe(", f"    {prompt!r},"]
    lines += [f"    {name}={value!r}," for name, value in told.items()]
    return "\n".join([*lines, ")", "print(result.video)", ""])


def _told(request: GenerationRequest, place: Place) -> dict[str, Any]:
    """The fields that have to be said: the model, the task, and what is not as it would be without."""
    told: dict[str, Any] = {}
    for name in knobs():
        value = getattr(request, name)
        if name not in ("task", "model") and value == GenerationRequest.model_fields[name].default:
            continue
        if name in MEDIA_FIELDS:
            value = [place(each) for each in value] if isinstance(value, tuple) else place(value)
        elif name == "loras":
            value = [use.model_dump(mode="json", exclude_defaults=True) for use in value]
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, WindowOptions | Crops):
            value = str(value)
        told[name] = value
    return told


def _option(name: str, value: Any) -> list[str]:
    """The words of one field; whatever begins with a dash stands behind an equals sign."""
    option = option_of(name)
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if name == "loras":
        return [f"{option}={LoraUse(**use).written()}" for use in value]
    if isinstance(value, list):
        return [option, *map(str, value)]
    return [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]


def plain_name(name: InputName) -> str:
    """An input for those who must not learn where it lies: only its name."""
    return Path(name).name

"""A request in words that can be copied: as a command, as Python, or as a link."""

from __future__ import annotations

from collections.abc import Callable

from ui.context import Context
from ui.recipes.deep_links import link_to
from wan_core.recipes import as_command, as_python, plain_name
from wan_core.schema import GenerationRequest
from wan_core.schema.settings import default_home


def written(kind: str, request: GenerationRequest, context: Context) -> dict[str, str]:
    """A request in one of the kinds; whoever does not own the machine learns no folder of it."""
    writer, settings = _WRITERS.get(kind), context.settings
    if writer is None:
        return {"link": link_to(request)}
    if not context.owned:
        return {"text": writer(request, settings.model_copy(update={"home": default_home()}), plain_name)}
    return {"text": writer(request, settings, lambda name: str(settings.inputs_dir / name))}


_WRITERS: dict[str, Callable[..., str]] = {"cli": as_command, "python": as_python}

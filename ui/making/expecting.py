"""How long a video takes of which no like has been made on this machine."""

from __future__ import annotations

from ui.context import Context
from ui.making.guess import guess_seconds, guess_upscaling
from wan_core.catalog import find_model, is_known, resolve
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.upscaling.shelf import find_upscaler


def guessed_seconds(request: GenerationRequest, context: Context) -> float | None:
    """Seconds, as a guess; what is learnt of the model's videos counts, and an upscaler comes on top of it.

    None where nothing is known of the machine or the model.
    """
    if not is_known(request.model):
        return None
    request, store = resolve(request), context.store
    device, plain = store.worker_status().device, request.model_copy(update={"upscaler": ""})
    seconds = store.estimate_seconds(plain) if request.upscaler else None
    seconds = seconds or guess_seconds(request, find_model(request.model), device)
    return seconds and seconds + _upscaling(request, context, device)


def _upscaling(request: GenerationRequest, context: Context, device: str) -> float:
    """Seconds that an upscaler takes besides; of one that is not here, none."""
    if not request.upscaler:
        return 0.0
    try:
        size = find_upscaler(context.settings, request.upscaler).stat().st_size
    except (InvalidRequest, OSError):
        return 0.0
    return guess_upscaling(request, size, device)

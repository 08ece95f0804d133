"""LoRAs that are fetched by their address: what the browser may ask for, and what it is told of them.

Only whoever owns the machine may; for everybody else there is neither a field nor an answer.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.context import Context
from ui.strings import Texts
from wan_core.manager.lora_errands import Arrival
from wan_core.schema import InvalidRequest
from wan_core.schema.status import JobStatus

_LONGEST = 4000


def act(context: Context, event: gr.EventData) -> dict[str, Any]:
    """Do what the browser asks for, and tell how all downloads stand.

    ``{"arriving": [...], "begun": key, "refused": sentence}``; nothing for who does not own the machine.
    """
    if not context.owned:
        return {"arriving": []}
    loras, told = context.errands.loras, {"begun": "", "refused": ""}
    try:
        if address := _asked(event, "add"):
            told["begun"] = loras.begin(address)
        if key := _asked(event, "again"):
            told["begun"] = loras.again(key)
    except InvalidRequest as error:
        told["refused"] = refusal(error, context.texts)
    if key := _asked(event, "stop"):
        loras.cancel(key)
    if key := _asked(event, "forget"):
        loras.forget(key)
    return {**told, "arriving": [_told(arrival, context) for arrival in loras.all()]}


def refusal(error: InvalidRequest, texts: Texts) -> str:
    """Why a LoRA is not fetched, in the page's language."""
    problem, remedy = texts.said(error.problem), texts.said(error.remedy)
    return texts.sentence.format(name=texts.loras.by_address, problem=problem, remedy=remedy)


def _asked(event: gr.EventData, name: str) -> str:
    value = getattr(event, name, None)
    return value[:_LONGEST] if isinstance(value, str) else ""


def _told(arrival: Arrival, context: Context) -> dict[str, Any]:
    """One download, in the page's language."""
    return {
        "key": arrival.key,
        "shown": arrival.shown,
        "state": arrival.state,
        "share": arrival.share,
        "words": arrival_words(arrival, context.texts),
        "name": arrival.arrived.name if arrival.arrived else "",
        "digest": arrival.arrived.sha256 if arrival.arrived else "",
    }


def arrival_words(arrival: Arrival, texts: Texts) -> str:
    """How a LoRA on its way stands, or what came of it."""
    arrived = arrival.arrived
    if arrived is not None:
        words = texts.loras.arrived_known if arrived.known else texts.loras.arrived
        return (texts.loras.arrived_renamed if arrived.renamed else words).format(name=arrived.name)
    if arrival.state is JobStatus.QUEUED:
        return texts.models.waiting
    if arrival.state is JobStatus.CANCELLED:
        return texts.loras.stopped
    return texts.said(arrival.error or arrival.message)

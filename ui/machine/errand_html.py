"""Downloads and checks that are under way, and what came of them, as HTML; see ``ui.machine.buttons``."""

from __future__ import annotations

from html import escape

from ui import units
from ui.machine.buttons import button
from ui.making.arriving import arrival_words
from ui.strings import Texts
from wan_core.manager.errands import Errand
from wan_core.manager.lanes import Progress
from wan_core.manager.lora_errands import Arrival
from wan_core.schema.status import JobStatus


def errands_html(errands: list[Errand], texts: Texts) -> str:
    """Those of models: what is under way, and what came of those that need a word."""
    return "".join(_errand(errand, texts) for errand in errands if _needs_a_word(errand))


def arrivals_html(arrivals: list[Arrival], texts: Texts) -> str:
    """Those of LoRAs by their addresses: all, as no list says what came of them."""
    return "".join(_arrival(arrival, texts) for arrival in arrivals)


def _needs_a_word(errand: Errand) -> bool:
    if errand.state is JobStatus.CANCELLED:
        return False
    return errand.state is not JobStatus.DONE or errand.verdict is not None


def _errand(errand: Errand, texts: Texts) -> str:
    title, words = texts.model_title(errand.model), texts.models
    if errand.state is JobStatus.DONE:
        body = _verdict(errand, texts)
    else:
        message = words.waiting if errand.state is JobStatus.QUEUED else texts.said(errand.message)
        if errand.kind == "verify" and errand.total:
            counts = words.partly.format(done=units.in_bytes(errand.step), total=units.in_bytes(errand.total))
            message = f"{message} · {counts}"
        body = _body(errand, message, texts)
    ends = ("dismiss", words.dismiss) if errand.state.is_final else ("cancel", words.cancel)
    damaged = bool(errand.verdict and errand.verdict.wrong)
    buttons = button("replace", errand.model, title, words.replace) if damaged else ""
    buttons += button(ends[0], errand.model, title, ends[1])
    heading = "" if errand.state.is_final else words.doing[errand.kind]
    return _box(errand, errand.model, f"{heading} {title}", body, buttons)


def _arrival(arrival: Arrival, texts: Texts) -> str:
    title, words = arrival.shown, texts.loras
    if not arrival.state.is_final:
        buttons = button("stop-lora", arrival.key, title, words.stop)
    else:
        buttons = "" if arrival.arrived else button("again-lora", arrival.key, title, words.again)
        buttons += button("forget-lora", arrival.key, title, texts.models.dismiss)
    heading = "LoRA" if arrival.state.is_final else texts.models.doing["lora"]
    body = _body(arrival, arrival_words(arrival, texts), texts)
    return _box(arrival, arrival.key, f"{heading} {title}", body, buttons)


def _box(progress: Progress, key: str, heading: str, body: str, buttons: str) -> str:
    return (
        f'<div class="errand {progress.state}" data-model="{escape(key, quote=True)}"><p class="phase">'
        f'<span>{escape(heading.strip())}</span></p>{body}<div class="buttons">{buttons}</div></div>'
    )


def _body(progress: Progress, message: str, texts: Texts) -> str:
    """How far it has come, or why it came no further."""
    if progress.state is JobStatus.FAILED:
        return f'<p class="alert" role="alert">{escape(texts.said(progress.error))}</p>'
    bar = f'<div class="bar"><div style="width:{progress.share:.1%}"></div></div>'
    return f'{"" if progress.state.is_final else bar}<p class="count">{escape(message)}</p>'


def _verdict(errand: Errand, texts: Texts) -> str:
    verdict, words = errand.verdict, texts.models
    if verdict.wrong:
        files = ", ".join(path.name for path in verdict.wrong)
        return f'<p class="alert" role="alert">{escape(words.damaged.format(files=files))}</p>'
    sentence = words.done["verify"].format(count=len(verdict.right))
    if verdict.unknown:
        sentence += f"; {words.unchecked.format(count=len(verdict.unknown))}"
    if verdict.moved:
        sentence += f"; {words.moved.format(repos=', '.join(verdict.moved))}"
    return f'<p class="count">{escape(sentence)}.</p>'

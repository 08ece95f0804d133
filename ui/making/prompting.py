"""What helps with a prompt: presets, styles, wildcards, writing it out, and counting its tokens.

One component below the prompt, drawn by the browser; it asks through ``Doors`` and is answered by its
property ``told``. What changes the form goes through ``Bench.fill``. Whoever does not own the machine may use
what is there, and neither keep nor delete anything, nor have prompts written out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from ui.assets import read_scripts
from ui.context import Context
from ui.listening import QUIET, error_html, note_html
from ui.making import form, inputs
from ui.making.bench import TELL_JS, Bench, Updates
from wan_core.catalog import ModelSpec, find_model
from wan_core.jobs.batch import prompt_lines
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.prompts.presets import PresetStore
from wan_core.prompts.styles import PROMPT, toggle, worn_by
from wan_core.prompts.templates import draw, is_template
from wan_core.prompts.wildcards import list_wildcards
from wan_core.schema import GenerationRequest, InvalidRequest, WanStudioError, WeightsError

_CHANGED_JS = "() => { document.dispatchEvent(new Event('prompt-changed')); }"
_STAYS = {*inputs.FILES, "crops", "continues", "join", "prompt", "seed", "videos", "lines", "images"}
"""Controls that a preset leaves as they are."""

Answer = dict[str, Any]


def build(context: Context) -> gr.HTML:
    """The bar below the prompt. It tells ``ask``, and of the form ``style``, ``preset`` and ``save``."""
    texts = {**dataclasses.asdict(context.texts.prompting), "owned": context.owned}
    folder = context.settings.wildcards_dir
    texts["wildcards_folder"] = texts["wildcards_folder"].format(folder=folder) if context.owned else ""
    return gr.HTML(
        {},
        html_template='<div class="prompting"></div>',
        js_on_load=f"const texts = {json.dumps(texts)};\n" + read_scripts("prompting.js"),
        apply_default_css=False,
        elem_id="form-prompting",
    )


def connect(bench: Bench) -> None:
    """Answer what the bar asks, and have it ask again when the prompt or the tab changes."""
    context, controls, bar = bench.context, bench.controls, bench.parts["prompting"]
    doors = Doors(context)
    prompt, negative, lines = controls["prompt"], controls["negative_prompt"], controls["lines"]

    def answer(active: str, model: str, prompt: str, negative: str, lines: bool, event: gr.EventData) -> Any:
        asked = getattr(event, "asked", None)
        asked = asked if isinstance(asked, dict) else {}
        about = {"tab": active, "model": model, "prompt": prompt, "negative": negative, "lines": lines}
        return gr.update(told=doors.open(str(event.door), asked, about))

    def take_style(prompt: str, negative: str, lines: bool, event: gr.EventData) -> str:
        styles = PresetStore(context.settings.presets_dir).styles()
        prompt, negative = toggle(styles, str(event.name), prompt or "", negative or "", lines)
        updates = {"prompt": gr.update(value=prompt), "negative_prompt": gr.update(value=negative)}
        return bench.fill({f"form-{name}": update for name, update in updates.items()})

    def take_preset(active: str, event: gr.EventData) -> str:
        return bench.fill(preset_updates(bench, active, str(event.name)), about={"tab": active})

    def save(value: Any, *arguments: Any) -> Any:
        told = doors.guarded(lambda: _save(bench, value, arguments))
        return gr.update(told={**told, "door": "save"})

    bar.ask(
        answer,
        [bench.active, controls["model"], prompt, negative, lines],
        bar,
        trigger_mode="multiple",
        **QUIET,
    )
    bench.asleep_on(bar.style)
    bench.asleep_on(bar.preset)
    bench.filled_after(bar.style(take_style, [prompt, negative, lines], bench.filling, **QUIET))
    bench.filled_after(bar.preset(take_preset, bench.active, bench.filling, **QUIET))
    bar.save(save, [bar, *bench.inputs], bar, **QUIET)
    bar.counted(None, None, None, js=TELL_JS, **QUIET)
    changes = [prompt.change, negative.change, lines.change, bench.filling.change]
    gr.on(changes, None, None, None, js=_CHANGED_JS, **QUIET)


def preset_updates(bench: Bench, active: str, name: str) -> Updates:
    """A form set as in a preset; what is typed and given stays. What is wrong is said below Generate."""
    context, tab = bench.context, bench.tabs[active]
    try:
        fields = PresetStore(context.settings.presets_dir).read(active, name)
        request = GenerationRequest.parse(fields)
        values, complaints = tab.values_of(request)
        kept = {name: value for name, value in values.items() if name not in _STAYS}
        updates = bench.updates(tab, find_model(request.model), kept)
    except WanStudioError as error:
        return {"form-notice": error_html(form.sentence(error, context.texts))}
    said = [context.texts.prompting.applied.format(name=name), *complaints]
    return {**updates, "form-notice": note_html(" ".join(said))}


def _save(bench: Bench, value: Any, arguments: tuple[Any, ...]) -> Answer:
    """Keep the form as the preset that the bar names.

    Raises:
        InvalidRequest: the form or the name is refused.
        OSError: the disk refuses.
    """
    context, reading = bench.context, bench.read(arguments)
    _require_owner(context)
    plan, values = reading.tab.plan, reading.values
    taken = plan.asked(reading.spec, values["num_frames"])
    request = form.to_request(plan, values, inputs.to_fields(values, taken, form.unkept))
    name = value.get("saving") if isinstance(value, dict) else None
    kept = PresetStore(context.settings.presets_dir).save(reading.tab.key, name, request)
    return {"note": context.texts.prompting.saved.format(name=kept)}


class Doors:
    """What the bar may ask. What it sends is anybody's, so nothing of it is trusted."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._doors: dict[str, Callable[[Answer, Answer], Answer]] = {
            "look": lambda asked, about: self.look(about),
            "save-style": self._save_style,
            "delete-style": self._delete_style,
            "delete-preset": self._delete_preset,
            "export": lambda asked, about: {"file": self._own.export()},
            "import": self._import,
            "enhance": self._enhance,
            "stop": self._stop,
        }

    def open(self, door: str, asked: Answer, about: Answer) -> Answer:
        """The answer of one door; an ``error`` where something is refused.

        Args:
            door: which; all but "look" are for the owner.
            asked: what the browser says.
            about: the tab's key, the model, and the texts as they stand.
        """
        if door not in self._doors:
            return {"door": door}

        def opened() -> Answer:
            if door != "look":
                _require_owner(self._context)
            return self._doors[door](asked, about)

        return {"door": door, **self.guarded(opened)}

    def guarded(self, work: Callable[[], Answer]) -> Answer:
        """What some work answers, or the sentence that it ends with."""
        try:
            return work()
        except WanStudioError as error:
            return {"error": form.sentence(error, self._context.texts)}
        except OSError as error:
            return {"error": self._context.texts.said(str(error))}

    def look(self, about: Answer) -> Answer:
        """What there is, and how long the prompt is."""
        context, store = self._context, PresetStore(self._context.settings.presets_dir)
        prompt, negative = about["prompt"] or "", about["negative"] or ""
        texts = prompt_lines(prompt) if about["lines"] else [prompt]
        styles = store.styles()
        worn = [{style.name for style in worn_by(styles, text, negative)[0]} for text in texts or [""]]
        return {
            "presets": store.names(about["tab"]),
            "styles": [
                {
                    "name": style.name,
                    "words": style.prompt if style.prompt != PROMPT else style.negative_prompt,
                    "own": style.is_own,
                    "on": all(style.name in names for names in worn),
                }
                for style in styles
            ],
            "wildcards": list_wildcards(context.settings.wildcards_dir),
            "length": self._length(find_model(about["model"]), texts),
            "who": _who(context) if context.owned else "",
        }

    @property
    def _own(self) -> PresetStore:
        return PresetStore(self._context.settings.presets_dir)

    def _length(self, spec: ModelSpec, texts: list[str]) -> Answer:
        """How many tokens the longest of some prompts has, with words drawn where any are left to chance."""
        if not any(text.strip() for text in texts):
            return {}
        folder, drawn = self._context.settings.wildcards_dir, any(is_template(text) for text in texts)
        try:
            counts = [count_tokens(self._context, spec, draw(text, 0, folder)) for text in texts]
        except InvalidRequest as error:
            return {"error": form.sentence(error, self._context.texts)}
        except WeightsError:  # the tokenizer is damaged; the model says so when it runs
            return {}
        known = [count for count in counts if count is not None]
        return {"count": max(known), "limit": spec.dit.text_len, "about": drawn} if known else {}

    def _save_style(self, asked: Answer, about: Answer) -> Answer:
        name = self._own.save_style(asked.get("name"), asked.get("prompt"), asked.get("negative"))
        return {"note": self._context.texts.prompting.saved.format(name=name)}

    def _delete_style(self, asked: Answer, about: Answer) -> Answer:
        self._own.delete_style(asked.get("name"))
        return self._deleted(asked)

    def _delete_preset(self, asked: Answer, about: Answer) -> Answer:
        self._own.delete(about["tab"], asked.get("name"))
        return self._deleted(asked)

    def _deleted(self, asked: Answer) -> Answer:
        return {"note": self._context.texts.prompting.deleted.format(name=asked.get("name"))}

    def _import(self, asked: Answer, about: Answer) -> Answer:
        presets, styles = self._own.take_in(str(asked.get("text", "")))
        words = self._context.texts.prompting.imported
        return {"note": words.format(presets=presets, styles=styles)}

    def _enhance(self, asked: Answer, about: Answer) -> Answer:
        if self._context.is_public:  # it costs time or money of the owner's
            _require_owner(self._context)
        if about["lines"] and len(prompt_lines(about["prompt"])) > 1:
            return {"error": self._context.texts.prompting.one_prompt}
        takes = find_model(about["model"]).inputs.get(about["tab"])  # a tab is called like its first task
        has_picture = takes is not None and "image" in takes.required
        return {"text": self._context.enhancer.enhance(about["prompt"] or "", has_picture)}

    def _stop(self, asked: Answer, about: Answer) -> Answer:
        self._context.enhancer.stop()
        return {}


def count_tokens(context: Context, spec: ModelSpec, text: str) -> int | None:
    """The tokens of a prompt as the model's own tokenizer makes them; None while that is not here.

    Raises:
        WeightsError: the tokenizer's files are damaged.
    """
    root = context.weights.locate(spec, "tokenizer")
    if root is None:
        return None
    return _tokenizer((root / spec.tokenizer.files[0]).parent).count(text)


@lru_cache(2)
def _tokenizer(folder: Path) -> PromptTokenizer:
    return PromptTokenizer(folder)


def _who(context: Context) -> str:
    """Who writes prompts out, so that it is known where they go; empty if nobody."""
    settings = context.enhancer.kept.current
    if settings.kind == "endpoint":
        return urlsplit(settings.url).netloc or settings.url
    return Path(settings.local_model).name if settings.is_on else ""


def _require_owner(context: Context) -> None:
    if not context.owned:
        raise InvalidRequest("preset", "this is for the owner of the studio", "Ask them.")

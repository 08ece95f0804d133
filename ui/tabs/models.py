"""Models: what is on this machine and what is not; download, verify and delete; LoRAs on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ui import units
from ui.context import Context
from ui.listening import QUIET, error_html, note_html, reporting
from ui.machine import folders
from ui.machine.errand_html import arrivals_html, errands_html
from ui.machine.folders import FolderList
from ui.machine.stock_html import stays, stock_html
from ui.making.arriving import refusal
from ui.tabs.layout import headed
from wan_core.catalog import find_model
from wan_core.manager.errands import Errand
from wan_core.manager.lora_errands import Arrival
from wan_core.manager.stock import delete, plan_deletion
from wan_core.manager.verify import Verdict
from wan_core.schema import InvalidRequest

_SECONDS_BETWEEN_LOOKS = 1.0

_ACT_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (button) trigger('act', { action: button.dataset.action, model: button.dataset.model });
});
"""


@dataclass(frozen=True)
class UnderWay:
    """Downloads and checks as they stand; those of LoRAs only for whoever owns the machine."""

    errands: list[Errand]
    arrivals: list[Arrival]

    @classmethod
    def of(cls, context: Context) -> UnderWay:
        return cls(context.errands.all(), context.errands.loras.all() if context.owned else [])

    def html(self, context: Context) -> str:
        return errands_html(self.errands, context.texts) + arrivals_html(self.arrivals, context.texts)

    @property
    def is_active(self) -> bool:
        return any(not one.state.is_final for one in (*self.errands, *self.arrivals))

    @property
    def sign(self) -> str:
        """Differs when something has begun or ended."""
        models = [f"{errand.model}:{errand.kind}:{errand.state}" for errand in self.errands]
        return " ".join([*models, *(f"{arrival.key}:{arrival.state}" for arrival in self.arrivals)])


@dataclass(frozen=True)
class ModelsTab:
    """The tab's components. ``asked`` is the model whose deletion waits for a second click, ``seen`` what the
    list was drawn from. ``folders`` are only for whoever owns the machine.
    """

    context: Context
    notice: gr.HTML
    errands: gr.HTML
    stock: gr.HTML
    asked: gr.State
    seen: gr.State
    timer: gr.Timer
    folders: FolderList | None

    @property
    def outputs(self) -> list[gr.components.Component]:
        own = [self.notice, self.errands, self.stock, self.asked, self.seen, self.timer]
        return [*own, self.folders.list, self.folders.text] if self.folders else own

    def show(self, notice: str = "", asked: str = "", text: str = "") -> list[Any]:
        """Everything, as it is now: values of ``outputs``."""
        context = self.context
        under_way = UnderWay.of(context)  # once and first: what ends meanwhile is seen at the next look
        return [
            notice,
            under_way.html(context),
            stock_html(context, asked),
            asked,
            under_way.sign,
            gr.Timer(active=under_way.is_active),
            *([folders.folders_html(context.settings, context.texts), text] if self.folders else []),
        ]

    def look(self, asked: str, seen: str) -> list[Any]:
        """What has moved; the list is drawn anew only when a download or check has begun or ended."""
        under_way = UnderWay.of(self.context)
        if under_way.sign == seen:
            moving = under_way.html(self.context)
            return [moving if output is self.errands else gr.skip() for output in self.outputs]
        typed = (self.notice, self.folders and self.folders.text)
        shown = zip(self.outputs, self.show(asked=asked), strict=True)
        return [gr.skip() if output in typed else value for output, value in shown]


def build(context: Context) -> ModelsTab:
    """Lay the tab out."""
    tab = _lay_out(context)
    if not context.owned:
        return tab
    with headed(context.texts.settings.folders):
        return replace(tab, folders=folders.build(context, "models"))


def _lay_out(context: Context) -> ModelsTab:
    return ModelsTab(
        context,
        gr.HTML(elem_id="models-notice", apply_default_css=False),
        gr.HTML(elem_id="errands", js_on_load=_ACT_JS, apply_default_css=False),
        gr.HTML(elem_id="models", js_on_load=_ACT_JS, apply_default_css=False),
        gr.State(""),
        gr.State(""),
        gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False),
        None,
    )


def connect(tab: ModelsTab, selected: Any, loaded: Any) -> None:
    """Draw the tab when it is opened, follow what is under way, and do what its buttons say.

    Args:
        tab: the tab.
        selected: the event of choosing it.
        loaded: the event of a page that has loaded; downloads go on across a reload.
    """
    gr.on(
        [selected],
        reporting(tab.show, tab.outputs, tab.notice, tab.context.texts),
        None,
        tab.outputs,
        **QUIET,
    )
    follow = reporting(tab.look, tab.outputs, tab.notice, tab.context.texts)
    tab.timer.tick(follow, [tab.asked, tab.seen], tab.outputs, **QUIET)
    if not tab.context.owned:
        return
    gr.on([loaded], lambda: gr.Timer(active=UnderWay.of(tab.context).is_active), None, tab.timer, **QUIET)

    def act(event: gr.EventData) -> list[Any]:
        action, key = str(event.action), str(event.model)
        if action in _LORA_ACTIONS:
            return _LORA_ACTIONS[action](tab, key)
        return _ACTIONS[action](tab, find_model(key).id)

    def add(text: str) -> list[Any]:
        notice, text = folders.add(tab.context, text)
        return tab.show(notice, text=text)

    def remove(event: gr.EventData) -> list[Any]:
        return tab.show(folders.remove(tab.context, str(event.folder)))

    events = [tab.folders.add.click, tab.folders.text.submit]
    gr.on(
        events,
        reporting(add, tab.outputs, tab.notice, tab.context.texts),
        tab.folders.text,
        tab.outputs,
        **QUIET,
    )
    tab.folders.list.remove(
        reporting(remove, tab.outputs, tab.notice, tab.context.texts), None, tab.outputs, **QUIET
    )
    for part in (tab.errands, tab.stock):
        acting = reporting(act, tab.outputs, tab.notice, tab.context.texts)
        part.act(acting, None, tab.outputs, trigger_mode="multiple", **QUIET)


def _begin_download(tab: ModelsTab, model: str) -> list[Any]:
    tab.context.errands.begin("download", model)
    return tab.show()


def _begin_verifying(tab: ModelsTab, model: str) -> list[Any]:
    tab.context.errands.begin("verify", model)
    return tab.show()


def _cancel(tab: ModelsTab, model: str) -> list[Any]:
    tab.context.errands.cancel(model)
    return tab.show()


def _dismiss(tab: ModelsTab, model: str) -> list[Any]:
    tab.context.errands.forget(model)
    return tab.show()


def _ask(tab: ModelsTab, model: str) -> list[Any]:
    return tab.show(_complaint_if_busy(tab, model), asked="" if _is_busy(tab, model) else model)


def _keep(tab: ModelsTab, model: str) -> list[Any]:
    return tab.show()


def _delete(tab: ModelsTab, model: str) -> list[Any]:
    """The second click."""
    if _is_busy(tab, model):
        return tab.show(_complaint_if_busy(tab, model))
    context, spec, title = tab.context, find_model(model), tab.context.texts.model_title(model)
    root = context.settings.models_dir
    deletion = plan_deletion(context.weights, spec, root)
    delete(deletion, root)
    context.errands.forget(model)
    done = context.texts.models.deleted.format(size=units.in_bytes(deletion.bytes), model=title)
    return tab.show(note_html(" ".join([done, *stays(deletion, context.texts)])))


def _replace(tab: ModelsTab, model: str) -> list[Any]:
    """Delete what was found damaged, and download it again."""
    errand, root = tab.context.errands.of(model), tab.context.settings.models_dir.resolve()
    verdict = errand.verdict if errand and errand.verdict else Verdict()
    for path in verdict.wrong:
        if not path.resolve().is_relative_to(root):
            words = tab.context.texts.models.outside
            return tab.show(error_html(words.format(file=path)))
    for path in verdict.wrong:
        path.unlink(missing_ok=True)
    return _begin_download(tab, model)


_ACTIONS: dict[str, Callable[[ModelsTab, str], list[Any]]] = {
    "download": _begin_download,
    "verify": _begin_verifying,
    "cancel": _cancel,
    "dismiss": _dismiss,
    "delete": _ask,
    "keep": _keep,
    "confirm": _delete,
    "replace": _replace,
}


def _stop_lora(tab: ModelsTab, key: str) -> list[Any]:
    tab.context.errands.loras.cancel(key)
    return tab.show()


def _fetch_lora_again(tab: ModelsTab, key: str) -> list[Any]:
    try:
        tab.context.errands.loras.again(key)
    except InvalidRequest as error:
        return tab.show(error_html(refusal(error, tab.context.texts)))
    return tab.show()


def _forget_lora(tab: ModelsTab, key: str) -> list[Any]:
    tab.context.errands.loras.forget(key)
    return tab.show()


_LORA_ACTIONS: dict[str, Callable[[ModelsTab, str], list[Any]]] = {
    "stop-lora": _stop_lora,
    "again-lora": _fetch_lora_again,
    "forget-lora": _forget_lora,
}


def _is_busy(tab: ModelsTab, model: str) -> bool:
    """Whether a download or check runs on a model, or a job needs it."""
    errand = tab.context.errands.of(model)
    if errand is not None and not errand.state.is_final:
        return True
    return any(job.request.model == model for job in tab.context.store.queue())


def _complaint_if_busy(tab: ModelsTab, model: str) -> str:
    words = tab.context.texts.models.busy.format(model=tab.context.texts.model_title(model))
    return error_html(words) if _is_busy(tab, model) else ""

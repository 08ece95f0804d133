"""Generate and Stop: from a form to jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui import form, inputs, masking, memory
from ui.editing import editing_html, held, submit
from ui.listening import QUIET, error_html, note_html
from ui.tabs.making_tab import MakingTab
from wan_core.catalog import find_model
from wan_core.jobs.tidying import tidy_inputs
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError

if TYPE_CHECKING:
    from ui.studio import Page


def connect(page: Page, tab: MakingTab, saved: gr.BrowserState) -> None:
    """Generate, which also keeps its settings in the browser, and Stop."""
    context, drawing = page.context, [tab.drawing] if tab.drawing is not None else []

    def generate(kept: Any, edited: str, watched: str | None, *arguments: Any) -> list[Any]:
        editing, count = held(tab.key, edited), len(tab.controls)
        values = tab.values(arguments[:count])
        try:
            request = _request(tab, values, *arguments[count:])
            words = submit(context, form.several(request, int(values["videos"])), editing)
            tidy_inputs(context.store, InputStore(context.settings.inputs_dir))
        except (InvalidRequest, MediaError) as error:
            words = form.sentence(error) if isinstance(error, InvalidRequest) else str(error)
            still = editing_html(context.texts) if editing else ""
            return [error_html(words) + still, gr.skip(), edited, watched, *page.look(watched)]
        kept = memory.settings(kept, tab, request)
        return [note_html(words), kept, "" if editing else edited, None, *page.look(None, "")]

    def stop(stoppable: str, watched: str | None) -> list[Any]:
        if stoppable:
            context.executor.cancel(stoppable)
        return page.look(watched, "")

    first = [tab.notice, saved, page.editing, page.watched]
    made = tab.parts["generate"].click(
        page.reporting(generate, *first, notice=tab.notice),
        [saved, page.editing, *page.state, *tab.inputs, *drawing],
        [*first, *page.outputs],
        **QUIET,
    )
    stopped = tab.parts["stop"].click(
        page.reporting(stop), [page.stoppable, *page.state], page.outputs, **QUIET
    )
    for done in (made, stopped):  # a look that was under way may have put the timer to sleep meanwhile
        done.then(page.reporting(page.look), page.state, page.outputs, **QUIET)


def _request(tab: MakingTab, values: form.Values, drawn: Any = None) -> GenerationRequest:
    """The request of a form whose files are now kept.

    Raises:
        InvalidRequest, MediaError: a value or a file is refused.
    """
    store = InputStore(tab.context.settings.inputs_dir)
    taken = tab.plan.asked(find_model(values["model"]), values["num_frames"])
    if "mask" in taken and not values["mask"] and (painted := masking.painted(drawn)) is not None:
        values = {**values, "mask": str(store.path(store.keep_picture(painted)))}
    given = inputs.to_fields(values, taken, lambda path: store.keep(Path(path)))
    return form.to_request(tab.plan, values, given)

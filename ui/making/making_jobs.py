"""Generate and Stop: from a form to jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.listening import QUIET, error_html, note_html
from ui.making import form, inputs, masking, memory
from ui.making.bench import Bench, Reading
from ui.making.editing import editing_html, submit
from wan_core.jobs.job import Job
from wan_core.jobs.store import JobStore
from wan_core.jobs.tidying import tidy_inputs
from wan_core.media.inputs import InputStore
from wan_core.prompts.templates import require_wildcards
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError
from wan_core.schema.inputs import InputName
from wan_core.upscaling.shelf import check_upscaler

if TYPE_CHECKING:
    from ui.studio import Page


def connect(page: Page, saved: gr.BrowserState) -> None:
    """Generate, which also keeps its settings in the browser, and Stop."""
    context, bench = page.context, page.bench
    drawings = drawings_of(bench)

    def generate(kept: Any, editing: str, watched: str | None, *arguments: Any) -> list[Any]:
        count = len(bench.inputs)
        reading, drawn = bench.read(arguments[:count]), dict(zip(drawings, arguments[count:], strict=True))
        try:
            request = request_of(bench, reading, drawn.get(reading.tab.key))
            lines = bool(reading.shared["lines"])
            times, pictures = form.times(reading.shared), _pictures(bench, reading)
            words = submit(context, form.several(request, times, lines, pictures), editing)
            tidy_inputs(context.store, InputStore(context.settings.inputs_dir))
        except (InvalidRequest, MediaError) as error:
            words = form.sentence(error, context.texts)
            still = editing_html(context.texts) if editing else ""
            return [error_html(words) + still, gr.skip(), editing, watched, *page.look(watched)]
        kept = memory.settings(kept, reading, request)
        return [note_html(words), kept, "", None, *page.look(None, "")]

    def stop(stoppable: str, watched: str | None) -> list[Any]:
        for job in together(context.store, context.store.get(stoppable)):
            context.executor.cancel(job.id)
        return page.look(watched, "")

    first = [bench.notice, saved, bench.editing, page.watched]
    made = bench.parts["generate"].click(
        page.reporting(generate, *first, notice=bench.notice),
        [saved, bench.editing, *page.state, *bench.inputs, *drawings.values()],
        [*first, *page.outputs],
        **QUIET,
    )
    stopped = bench.parts["stop"].click(
        page.reporting(stop), [page.stoppable, *page.state], page.outputs, **QUIET
    )
    for done in (made, stopped):  # a look that was under way may have put the timer to sleep meanwhile
        done.then(page.reporting(page.look), page.state, page.outputs, **QUIET)


def together(store: JobStore, job: Job | None) -> list[Job]:
    """What Stop ends with a job: it, and what was asked for with it and has not ended, such as drafts."""
    return [other for other in store.siblings(job) if not other.status.is_final] if job else []


def drawings_of(bench: Bench) -> dict[str, gr.ImageEditor]:
    """What can be painted on, by tab; ``request_of`` is told what is painted in its tab."""
    return {tab.key: tab.drawing for tab in bench.tabs.values() if tab.drawing is not None}


def request_of(bench: Bench, reading: Reading, drawn: Any) -> GenerationRequest:
    """The request of a form whose files are now kept.

    Raises:
        InvalidRequest, MediaError: a value or a file is refused.
    """
    store = InputStore(bench.context.settings.inputs_dir)
    plan, values = reading.tab.plan, reading.values
    taken = plan.asked(reading.spec, values["num_frames"])
    if "mask" in taken and not values["mask"] and (painted := masking.painted(drawn)) is not None:
        values = {**values, "mask": str(store.path(store.keep_picture(painted)))}
    given = inputs.to_fields(values, taken, lambda path: store.keep(Path(path)))
    request = form.to_request(plan, values, given)
    require_wildcards(request, bench.context.settings.wildcards_dir)
    check_upscaler(request, bench.context.settings)
    return request


def _pictures(bench: Bench, reading: Reading) -> list[InputName]:
    """The first pictures of a video each, which are kept now; none where the form has none.

    Raises:
        MediaError: one of them is refused.
    """
    store = InputStore(bench.context.settings.inputs_dir)
    return [store.keep(path) for path in form.pictures_of(reading.tab.plan, reading.values)]

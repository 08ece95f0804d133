"""The line above Generate: what pressing it would mean, told before it is pressed."""

from __future__ import annotations

from html import escape

from ui import units
from ui.context import Context
from ui.listening import error_html
from ui.machine.plan_text import budget_of
from ui.making import form, framing, inputs, loras
from ui.making.expecting import guessed_seconds
from ui.tabs.plans import TabPlan
from wan_core.catalog import find_model, validate
from wan_core.manager.planner import plan_memory
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError, StoreError, WeightsError
from wan_core.schema.plan import MemoryPlan
from wan_core.upscaling.shelf import check_upscaler


def preflight_html(plan: TabPlan, values: form.Values, context: Context) -> str:
    """Size, length, expected time and download of the form's request, or what is wrong with it."""
    try:
        request = foreseen(plan, values, context)
        spec = validate(form.awaiting(plan, request))
        check_upscaler(request, context.settings)
        worn = loras.facts(loras.check(request, spec, context.settings), context.texts.loras)
        memory = _memory(request, context)
        told = [*facts_of(request, form.videos_of(plan, values), context, memory), *worn]
        facts = " · ".join(escape(fact) for fact in told)
    except (InvalidRequest, MediaError, StoreError, WeightsError) as error:  # a damaged index of shards
        return error_html(form.sentence(error, context.texts))
    texts, note = context.texts, ""
    if request.windows is None and (request.num_frames or 0) > spec.defaults.num_frames:
        words = texts.beyond_training.format(frames=spec.defaults.num_frames)
        note = f'<p class="note">{escape(words)}</p>'
    if memory and not memory.fits:
        note += f'<p class="note">{escape(texts.said(memory.reason))}</p>'
    return f'<p class="facts">{facts}</p>{note}'


def described(plan: TabPlan, values: form.Values) -> GenerationRequest:
    """The form's request; nothing is kept yet, so files stand under a made-up name.

    Raises:
        InvalidRequest, MediaError: a value or a file is refused.
    """
    taken = plan.asked(find_model(values["model"]), values["num_frames"])
    return form.to_request(plan, values, inputs.to_fields(values, taken, form.unkept))


def foreseen(plan: TabPlan, values: form.Values, context: Context) -> GenerationRequest:
    """The form's request at the size it will have; raises as ``described``."""
    taken = plan.asked(find_model(values["model"]), values["num_frames"])
    return framing.sized(described(plan, values), values, taken, context.settings.inputs_dir)


def facts_of(
    request: GenerationRequest, videos: int, context: Context, memory: MemoryPlan | None = None
) -> list[str]:
    """The parts of the line, for a request whose numbers are all filled in; of memory what the plan says.

    Raises:
        StoreError, WeightsError: the store, or what there is of the model's files, cannot be read.
    """
    texts, spec = context.texts, find_model(request.model)
    facts = [f"{request.width}×{request.height}"]
    if request.task == "t2i":
        facts.append(texts.picture)
    elif request.num_frames and request.fps:
        facts.append(texts.clip.format(seconds=units.in_seconds(request.num_frames / request.fps)))
    if videos > 1:
        facts.append(texts.videos_count.format(count=videos))
    facts.append(_expected(request, videos, context))
    if memory:
        total = units.in_bytes(context.store.worker_status().machine.memory_total)
        facts.append(texts.panel.peak_of.format(peak=units.in_bytes(memory.peak_vram), total=total))
    download = sum(context.weights.missing(spec).values())
    if download:
        facts.append(texts.to_download.format(size=units.in_bytes(download)))
    return facts


def _memory(request: GenerationRequest, context: Context) -> MemoryPlan | None:
    """How it would run on the graphics card; None without one, or before the first worker has looked."""
    machine = context.store.worker_status().machine
    if machine is None or machine.facts.kind == "cpu":
        return None
    spec = find_model(request.model)
    return plan_memory(spec, request, budget_of(context, machine), context.settings)


def _expected(request: GenerationRequest, videos: int, context: Context) -> str:
    """How long it will take: as learnt from videos like it, else guessed and called a guess."""
    texts, learnt = context.texts, context.store.estimate_seconds(request)
    seconds = learnt or guessed_seconds(request, context)
    if not seconds:
        return texts.takes_unknown
    words = texts.takes if learnt else texts.takes_guess
    return words.format(time=units.in_time(seconds * videos, texts.time_units))

"""Links into the page: ``/?tab=i2v&model=…&prompt=…`` fills the form, ``/?job=<id>`` shows a result.

A link only shows; nothing starts by itself. It may come from anybody: what it says that is unknown or out of
bounds is left out and named, and files cannot be named in it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError

from ui.listening import QUIET, note_html
from ui.tabs.making_tab import MakingTab
from ui.tabs.plans import plan_of
from wan_core.catalog import find_model
from wan_core.catalog.check import is_known
from wan_core.schema import GenerationRequest
from wan_core.schema.inputs import MEDIA_FIELDS
from wan_core.schema.lora import LoraUse

if TYPE_CHECKING:
    from ui.studio import Page

SEARCH_JS = "(...values) => [...values.slice(0, -1), window.location.search]"
"""Puts the address's own words in place of a handler's last input."""

_OTHERS = ("lang", "view")
"""Words of an address that are not ours; nor are those with two underscores first."""

_MOST_WORDS = 100
_MOST_NAMED = 8
_LONGEST_LINK = 200_000


@dataclass(frozen=True)
class Link:
    """What a link says: the tab to show, the request to fill it with (None: as it was left), the job to
    show, and the names of what was left out.
    """

    tab: str | None = None
    request: GenerationRequest | None = None
    job: str | None = None
    ignored: tuple[str, ...] = ()


def read_link(search: Any, tabs: Mapping[str, MakingTab]) -> Link:
    """Read the query of an address; ``tabs`` are the keys of those that there are."""
    text = search.removeprefix("?") if isinstance(search, str) else ""
    try:
        pairs = parse_qsl(text[:_LONGEST_LINK], keep_blank_values=True, max_num_fields=_MOST_WORDS)
    except ValueError:
        return Link(ignored=("?",))
    said: dict[str, Any] = {}
    loras = [value for name, value in pairs if name == "loras"]
    for name, value in pairs:
        if name not in _OTHERS and not name.startswith("__") and name != "loras":
            said[name] = value
    key, job = said.pop("tab", None), said.pop("job", None)
    values = {name: said.pop(name) for name in list(said) if name in _FIELDS}
    ignored = [*said, *([] if key is None or key in tabs else ["tab"])]
    tab = tabs.get(key or "")
    refused = _keep_valid(values, loras)
    if not values:
        return Link(tab and tab.key, None, job, (*ignored, *refused))
    request, misfits = _fitting(values, tab, tabs)
    return Link(plan_of(request.task).key, request, job, (*ignored, *refused, *misfits))


def link_to(request: GenerationRequest) -> str:
    """The query that fills the form so: everything but files, where it is not as it would be without."""
    pairs = [("tab", plan_of(request.task).key), ("model", request.model)]
    for name in _FIELDS:
        value = getattr(request, name)
        if name in ("model", "task") or value == GenerationRequest.model_fields[name].default:
            continue
        pairs.append((name, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)))
    if request.task == "t2i":
        pairs.append(("task", "t2i"))
    return f"?{urlencode([*pairs, *(('loras', use.written()) for use in request.loras)])}"


def ignored_words(link: Link, words: str) -> str:
    """One sentence about what was left out; empty where nothing was."""
    if not link.ignored:
        return ""
    names = [name[:40] for name in dict.fromkeys(link.ignored)]
    more = "…" if len(names) > _MOST_NAMED else ""
    return words.format(names=", ".join(names[:_MOST_NAMED]) + more)


def connect_job(page: Page, load: Any) -> None:
    """The first look of a page that has just been opened: at the job of its link, or at what there is."""
    texts, tabs = page.context.texts, page.bench.tabs

    def look(search: str) -> list[Any]:
        job = read_link(search, tabs).job
        found = job and page.context.store.get(job)
        notice = note_html(texts.recipes.link_no_job) if job and not found else None
        watched = job if found else None
        return [watched, *page.look(watched, notice)]

    outputs = [page.watched, *page.outputs]
    load(page.reporting(look, page.watched), page.stoppable, outputs, js=SEARCH_JS, **QUIET)


def _keep_valid(values: dict[str, Any], loras: list[str]) -> list[str]:
    """Make values of a link's words, drop those that are out of bounds, and return their names."""
    refused = []
    for name in values:
        annotation = GenerationRequest.model_fields[name].annotation
        if any(get_origin(kind) is tuple for kind in (annotation, *get_args(annotation))):
            values[name] = [word for word in values[name].split(",") if word]
    try:
        values |= {"loras": [LoraUse.read(text) for text in loras]} if loras else {}
    except ValueError:
        refused.append("loras")
    while True:
        try:
            GenerationRequest.model_validate(values)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors(include_url=False) if each["loc"]}
            refused += sorted(wrong)
            for name in wrong:
                del values[name]
        else:
            return refused


def _fitting(
    values: dict[str, Any], tab: MakingTab | None, tabs: Mapping[str, MakingTab]
) -> tuple[GenerationRequest, list[str]]:
    """The request of valid values, with a model and a task that go together and with the tab that is named;
    and the names of those of the three that do not.
    """
    misfits, model, task = [], values.pop("model", None), values.pop("task", None)
    spec = find_model(model) if model and is_known(model) else None
    offered = (
        [tab] if tab else [each for each in tabs.values() if task in each.plan.tasks] or [*tabs.values()]
    )
    home = next((each for each in offered if spec and each.plan.tasks_of(spec)), None)
    if home is None:
        misfits += ["model"] if model else []
        home = offered[0]
        spec = home.first_model
    tasks = home.plan.tasks_of(spec)
    if task is not None and task not in tasks:
        misfits.append("task")
    task = task if task in tasks else tasks[0]
    return GenerationRequest.model_validate({**values, "model": spec.id, "task": task}), misfits


_FILES = {*MEDIA_FIELDS, "crops", "loras"}
_FIELDS = tuple(name for name in GenerationRequest.model_fields if name not in _FILES)

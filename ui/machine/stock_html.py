"""The models on this machine and those that are not, as HTML."""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path

from ui import units
from ui.context import Context
from ui.machine.buttons import button
from ui.strings import Texts
from wan_core.catalog import MODELS, ModelSpec
from wan_core.manager.found_file import FoundFile
from wan_core.manager.stock import Deletion, Holding, Stock, plan_deletion, take_stock

_FEW = 2
"""As many models are named; more are counted."""

_MOST = 60
"""As many other checkpoints are listed."""


def stock_html(context: Context, asked: str) -> str:
    """The whole list. ``asked`` is the model whose deletion waits for a second click."""
    texts, stock = context.texts.models, take_stock(context.weights)
    here = [spec for spec in stock.models() if stock.has_begun(spec)]
    absent = [spec for spec in stock.models() if not stock.has_begun(spec)]
    rows = "".join(_here(context, stock, spec, spec.id == asked) for spec in here)
    built_in = "".join(_built_in(spec, context.texts) for spec in MODELS.values() if spec.folder)
    nothing = "" if here else f'<p class="note">{escape(texts.nothing_here)}</p>'
    common = "".join(_part(context, holding, True) for holding in stock.common())
    shared = f'<h3>{escape(texts.common)}</h3><ul class="parts">{common}</ul>' if common else ""
    others = _others(context, stock) if context.owned else ""
    return (
        f"<h3>{escape(texts.here)}<span>{escape(_summary(context, stock, len(here)))}</span></h3>{nothing}"
        f"<ul>{rows}{built_in}</ul>{shared}{others}"
        f"<h3>{escape(texts.absent)}</h3>"
        f"<ul>{''.join(_absent(context, stock, spec) for spec in absent)}</ul>"
    )


def _others(context: Context, stock: Stock) -> str:
    """What else was found, and what of it can be used."""
    texts, found = context.texts.models, stock.others(context.weights)
    if not found:
        return ""
    rest = len(found) - _MOST
    more = f'<li class="note">{escape(texts.more.format(count=rest))}</li>' if rest > 0 else ""
    return (
        f'<h3>{escape(texts.others)}</h3><p class="note">{escape(texts.others_help)}</p>'
        f'<ul class="parts">{"".join(_other(file, context.texts) for file in found[:_MOST])}{more}</ul>'
    )


def _other(file: FoundFile, texts: Texts) -> str:
    specs = tuple(MODELS[model] for model in file.models if model in MODELS)
    serves = (
        texts.models.serves.format(models=_models(specs, texts)) if specs else texts.models.serves_nothing
    )
    words = [f"<b>{escape(file.name.rpartition('/')[2])}</b>", escape(units.in_bytes(file.size))]
    told = (file.precision, texts.said(file.what), "" if file.problem else serves)
    words += [escape(word) for word in told if word]
    words.append(f'<span class="path">{escape(str(file.files[0].parent))}</span>')
    if file.problem:
        words.append(f'<span class="problem">{escape(texts.said(file.problem))}</span>')
    return f"<li>{' · '.join(words)}</li>"


def _summary(context: Context, stock: Stock, count: int) -> str:
    texts = context.texts.models
    words = [texts.summary.format(count=count, size=units.in_bytes(stock.bytes))] if count else []
    if context.owned:
        words.append(texts.free.format(size=units.in_bytes(_free(context.settings.models_dir))))
    return " · ".join(words)


def _free(folder: Path) -> int:
    """Bytes free on the disk of a folder, or on the one where it would be made."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _here(context: Context, stock: Stock, spec: ModelSpec, is_asked: bool) -> str:
    texts, own = context.texts.models, [part for part in stock.of(spec) if not part.is_common]
    missing, size = stock.missing(spec), sum(part.bytes for part in own)
    shared = sum(part.bytes for part in stock.of(spec) if part.is_common)
    words = [units.in_bytes(size)]
    if shared:
        words.append(texts.shared.format(size=units.in_bytes(shared)))
    lines = "".join(_part(context, part, False) for part in own if part.bytes or part.problem)
    note = f'<p class="missing">{escape(_to_download(missing, texts))}</p>' if missing else ""
    of, buttons = (spec.id, context.texts.model_title(spec.id)), ""
    if context.owned:
        buttons = button("download", *of, texts.resume) if missing else button("verify", *of, texts.verify)
        buttons += button("delete", *of, texts.delete)
    asked = _question(context, spec) if is_asked and context.owned else ""
    return (
        f'<li class="model here" data-model="{spec.id}">{_title(spec, context.texts)}'
        f'<span class="size">{escape(" ".join(words))}</span>'
        f'<ul class="parts">{lines}</ul>{note}'
        f'<div class="buttons">{asked or buttons}</div></li>'
    )


def _to_download(missing: int, texts: object) -> str:
    return texts.incomplete.format(size=units.in_bytes(missing))


def _absent(context: Context, stock: Stock, spec: ModelSpec) -> str:
    texts = context.texts.models
    of = spec.id, context.texts.model_title(spec.id)
    download = button("download", *of, texts.download) if context.owned else ""
    note = f'<p class="note">{escape(context.texts.said(spec.note))}</p>' if spec.note else ""
    return (
        f'<li class="model" data-model="{spec.id}">{_title(spec, context.texts)}'
        f'<span class="size">{escape(_to_download(stock.missing(spec), texts))}</span>{note}'
        f'<div class="buttons">{download}</div></li>'
    )


def _built_in(spec: ModelSpec, texts: Texts) -> str:
    return (
        f'<li class="model here" data-model="{spec.id}">{_title(spec, texts)}'
        f'<span class="size">{escape(texts.models.demo)}</span></li>'
    )


def _title(spec: ModelSpec, texts: Texts) -> str:
    tasks = " · ".join(texts.tabs[task] for task in spec.tasks if task in texts.tabs)
    title = texts.model_title(spec.id)
    return f'<span class="name">{escape(title)}</span><span class="tasks">{escape(tasks)}</span>'


def _part(context: Context, holding: Holding, names_users: bool) -> str:
    """A line: what it is, how large, where, and whom it serves."""
    texts = context.texts.models
    size = units.in_bytes(holding.bytes)
    if not holding.folder:
        size = texts.partly.format(done=size, total=units.in_bytes(holding.files.size))
    words = [f"<b>{escape(texts.parts[holding.part])}</b>", escape(size)]
    if names_users:
        words.append(escape(texts.used_by.format(models=_models(holding.users, context.texts))))
    if holding.folder and context.owned:
        words.append(f'<span class="path">{escape(str(holding.folder))}</span>')
    if holding.problem and context.owned:
        words.append(f'<span class="problem">{escape(context.texts.said(holding.problem))}</span>')
    return f"<li>{' · '.join(words)}</li>"


def _models(specs: tuple[ModelSpec, ...], texts: Texts) -> str:
    if len(specs) > _FEW:
        return texts.models.several.format(count=len(specs))
    return ", ".join(texts.model_title(spec.id) for spec in specs)


def _question(context: Context, spec: ModelSpec) -> str:
    """What deleting would take and leave, with a button for yes and one for no."""
    texts = context.texts.models
    deletion = plan_deletion(context.weights, spec, context.settings.models_dir)
    words, of = stays(deletion, context.texts), (spec.id, context.texts.model_title(spec.id))
    if not deletion.files:
        words.insert(0, texts.nothing_to_delete.format(model=of[1]))
        return f'<p class="question">{escape(" ".join(words))}</p>{button("keep", *of, texts.dismiss)}'
    words.insert(0, texts.ask_delete.format(size=units.in_bytes(deletion.bytes), model=of[1]))
    yes = button("confirm", *of, texts.delete, "stop")
    return f'<p class="question">{escape(" ".join(words))}</p>{yes}{button("keep", *of, texts.keep)}'


def stays(deletion: Deletion, texts: Texts) -> list[str]:
    """Sentences on what a deletion leaves, and why."""
    sentences = []
    by_users: dict[str, list[str]] = {}
    for part, users in deletion.kept.items():
        by_users.setdefault(_models(users, texts), []).append(texts.models.parts[part])
    for models, parts in by_users.items():
        sentences.append(texts.models.stays_for.format(parts=", ".join(parts), models=models))
    by_folder: dict[Path, list[str]] = {}
    for part, folder in deletion.elsewhere.items():
        by_folder.setdefault(folder, []).append(texts.models.parts[part])
    for folder, parts in by_folder.items():
        sentences.append(texts.models.stays_elsewhere.format(parts=", ".join(parts), folder=folder))
    return sentences

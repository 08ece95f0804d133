"""The list of folders that models are looked for in: shown, added to and taken from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from ui.context import Context
from ui.listening import error_html
from ui.machine.keeping import keep
from ui.strings import Texts
from wan_core.schema import Settings

_REMOVE_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-folder]');
  if (button) trigger('remove', { folder: button.dataset.folder });
});
"""


@dataclass(frozen=True)
class FolderList:
    """The components: the list, where a folder is written, and the button that adds it."""

    list: gr.HTML
    text: gr.Textbox
    add: gr.Button


def build(context: Context, key: str) -> FolderList:
    """Lay the list out."""
    texts = context.texts.settings
    shown = gr.HTML(elem_id=f"{key}-folders", js_on_load=_REMOVE_JS, apply_default_css=False)
    with gr.Row(elem_classes="add-folder"):
        text = gr.Textbox(
            show_label=False,
            placeholder=texts.folder_placeholder,
            max_lines=1,
            elem_id=f"{key}-folder",
            scale=1,
            min_width=140,
        )
        add = gr.Button(texts.add_folder, size="sm", scale=0, min_width=110, elem_id=f"{key}-add-folder")
    return FolderList(shown, text, add)


def folders_html(settings: Settings, texts: Texts) -> str:
    """The studio's own folder, then those that were added."""
    own = _row(settings.models_dir, texts.settings.own_folder, "")
    return f'<ul class="folders">{own}{"".join(_added(path, texts) for path in settings.model_folders)}</ul>'


def _added(folder: Path, texts: Texts) -> str:
    name = escape(texts.settings.remove_folder, quote=True)
    button = (
        f'<button type="button" data-folder="{escape(str(folder), quote=True)}" aria-label="{name}: '
        f'{escape(str(folder), quote=True)}" title="{name}">✕</button>'
    )
    return _row(folder, "" if folder.is_dir() else texts.settings.folder_gone, button)


def _row(folder: Path, remark: str, button: str) -> str:
    said = f"<small>{escape(remark)}</small>" if remark else ""
    return f'<li><span class="path">{escape(str(folder))}</span>{said}{button}</li>'


def written(text: str | None) -> Path:
    """The folder that somebody wrote."""
    return Path((text or "").strip().strip("\"'")).expanduser()


def refusal(folder: Path, settings: Settings, texts: Texts) -> str:
    """Why a folder cannot be added, in a sentence; empty if it can."""
    words = texts.settings
    if not folder.is_absolute():
        return words.folder_relative.format(folder=str(folder))
    try:
        if not folder.is_dir():
            return words.no_folder.format(folder=folder)
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError:
        return words.folder_unreadable.format(folder=folder)
    known = [path.resolve() for path in (settings.models_dir, *settings.model_folders)]
    return words.folder_known.format(folder=folder) if folder.resolve() in known else ""


def add(context: Context, text: str) -> tuple[str, str]:
    """Keep one more folder; returns a notice, and what is left to be written anew."""
    folder = written(text)
    if words := refusal(folder, context.settings, context.texts):
        return error_html(words), text
    return keep(context, "model_folders", (*context.settings.model_folders, folder.resolve())), ""


def remove(context: Context, folder: str) -> str:
    """Keep one folder less; returns a notice. Its files stay where they are."""
    rest = tuple(path for path in context.settings.model_folders if str(path) != folder)
    return keep(context, "model_folders", rest)

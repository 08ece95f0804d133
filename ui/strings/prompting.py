"""The sentences about prompts, presets, styles and who writes prompts out, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptingTexts:
    """Names in braces are filled in with ``str.format``, or by the page's own scripts."""

    presets: str
    presets_help: str
    no_presets: str
    preset_name: str
    save: str
    saved: str
    applied: str
    export: str
    import_: str
    imported: str
    delete: str
    confirm_delete: str
    deleted: str

    styles: str
    styles_help: str
    put_on: str
    take_off: str
    style_name: str
    style_words: str
    style_negative: str
    new_style: str

    wildcards: str
    wildcards_help: str
    wildcards_folder: str

    enhance: str
    enhance_help: str
    enhance_off: str
    enhancing: str
    stop: str
    offered: str
    use: str
    discard: str
    undo: str
    used: str
    one_prompt: str

    tokens: str
    tokens_about: str
    tokens_help: str
    too_long: str

    images: str

    writer: str
    writer_help: str
    writer_kinds: dict[str, str]
    writer_folder: str
    writer_folder_help: str
    writer_url: str
    writer_url_help: str
    writer_model: str
    writer_key: str
    writer_key_help: str
    writer_key_kept: str
    writer_forget_key: str
    writer_seconds: str
    writer_plain: str
    writer_saved: str

"""The sentences of the Models and Settings tabs, as types; see ``ui.strings.texts``."""

from __future__ import annotations

from dataclasses import dataclass

from ui.strings.naming import Named


@dataclass(frozen=True)
class ModelsTexts:
    """What the Models tab says.

    ``parts`` are named by role, ``doing`` and ``done`` by kind of errand; ``doing`` has LoRAs, too.
    """

    summary: str
    here: str
    nothing_here: str
    common: str
    absent: str
    others: str
    others_help: str
    more: str
    serves: str
    serves_nothing: str
    free: str
    parts: dict[str, str]
    partly: str
    shared: str
    used_by: str
    several: str
    demo: str
    incomplete: str

    download: str
    resume: str
    verify: str
    delete: str
    keep: str
    cancel: str
    dismiss: str
    replace: str

    ask_delete: str
    nothing_to_delete: str
    stays_for: str
    stays_elsewhere: str
    deleted: str
    busy: str

    doing: dict[str, str]
    done: dict[str, str]
    waiting: str
    failed: str
    damaged: str
    unchecked: str
    moved: str
    outside: str


@dataclass(frozen=True)
class SettingsTexts:
    """What the Settings tab says.

    ``names`` are those of the settings, ``choices`` are named by setting and value, ``effects`` by
    ``wan_core.schema.settings.Effect``.
    """

    names: dict[str, Named]
    groups: dict[str, str]
    choices: dict[str, dict[str, str]]
    effects: dict[str, str]
    saved: dict[str, str]
    attention_time: str
    attention_auto: str
    torchs_choice: str
    unsupported: str
    looking: str
    no_gpu: str
    plan: str
    plan_for: str
    plan_model: str
    folders: str
    own_folder: str
    folder_placeholder: str
    add_folder: str
    remove_folder: str
    folder_gone: str
    no_folder: str
    folder_relative: str
    folder_unreadable: str
    folder_known: str

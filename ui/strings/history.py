"""The sentences of the queue and the history, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryTexts:
    """Names in braces are filled in with ``str.format``."""

    due: str
    due_guess: str
    all_due: str
    pause: str
    pause_help: str
    resume: str
    is_paused: str
    paused: str
    paused_running: str
    free_memory: str
    free_memory_help: str
    cancel_all: str
    confirm_cancel_all: str
    move_up: str
    move_down: str
    drag: str
    edit: str
    duplicate: str
    retry: str
    more: str

    search: str
    search_hint: str
    any_model: str
    any_tag: str
    since: str
    until: str
    favourites: str
    clear: str
    found: str
    nothing_found: str

    star: str
    unstar: str
    tags: str
    tags_hint: str
    show_log: str
    no_log: str
    close: str
    open_folder: str
    no_folder: str
    delete: str
    deleted_one: str
    deleted_many: str
    undo: str
    too_late: str

    editing: str
    leave: str
    saved: str
    started: str

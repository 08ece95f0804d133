"""The sentences about opening results, copying a request and links, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecipeTexts:
    """Names in braces are filled in with ``str.format``; ``size`` and ``name`` also by the page's script."""

    open: str
    open_help: str
    drop: str
    opening: str
    opened: str
    missing: str
    too_large: str
    not_uploaded: str
    copy_cli: str
    copy_cli_help: str
    copy_python: str
    copy_python_help: str
    copy_link: str
    copy_link_help: str
    of_result: str
    copied: str
    copy_by_hand: str
    close: str
    link_ignored: str
    link_no_job: str

"""Buttons of the Models tab: they carry what they do, and to what, in their data."""

from __future__ import annotations

from html import escape


def button(action: str, key: str, title: str, label: str, look: str = "") -> str:
    """A button as HTML.

    Args:
        action: what it does.
        key: the model or LoRA.
        title: what that is called.
        label: what stands on it.
        look: a class of its own.
    """
    told = escape(f"{label}: {title}", quote=True)
    return (
        f'<button type="button" class="{look}" data-action="{action}" data-model="{escape(key, quote=True)}" '
        f'aria-label="{told}">{escape(label)}</button>'
    )

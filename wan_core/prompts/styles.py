"""Styles: words around a prompt. Whether a text wears a style is read from the text itself.

So nothing is added out of sight: what the prompt says is what the model reads, and a style can be taken off
again, also of a prompt that comes from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROMPT = "{prompt}"
_LOOSE = " \t\n,.;"


@dataclass(frozen=True)
class Style:
    """``prompt`` and ``negative_prompt`` stand around those of a request, where they say ``{prompt}``."""

    name: str
    prompt: str = PROMPT
    negative_prompt: str = PROMPT
    is_own: bool = False


BUILT_IN = (
    Style(
        "Cinematic",
        "{prompt}, cinematic shot on 35mm film, shallow depth of field, soft key light, film colours",
    ),
    Style(
        "Documentary",
        "{prompt}, documentary footage, handheld camera, natural light, true colours",
        "{prompt}, cartoon, painting, heavy make-up",
    ),
    Style("Black and white", "{prompt}, black and white film, high contrast, fine grain"),
    Style("Anime", "{prompt}, hand-drawn anime, clean lines, flat shading, painted background"),
    Style("Watercolour", "{prompt}, moving watercolour painting, wet edges, visible paper"),
    Style("Clay animation", "{prompt}, stop-motion clay animation, fingerprints in the clay, miniature set"),
    Style("Aerial", "Aerial view from a drone that glides slowly forward: {prompt}"),
)
"""Styles that every studio has; one saved under the same name stands in for it."""


def wrap(template: str, text: str) -> str:
    """The text with a style's words around it; without a text, the words alone."""
    return template.replace(PROMPT, text) if text.strip() else template.replace(PROMPT, "").strip(_LOOSE)


def unwrap(template: str, text: str) -> str | None:
    """What ``wrap`` was given; None if the text does not have the style's words around it."""
    if template == PROMPT:
        return text
    if text == wrap(template, ""):
        return ""
    before, after = template.split(PROMPT)
    fits = len(text) > len(before) + len(after) and text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after)] if fits else None


def worn_by(styles: Sequence[Style], prompt: str, negative: str = "") -> tuple[list[Style], str, str]:
    """The styles that a prompt wears, the innermost first, and both texts without them.

    A style with words for the prompt is known by these; its words for the negative prompt are taken off, too,
    where they are there.
    """
    worn: list[Style] = []
    while (style := _outermost(styles, worn, prompt, negative)) is not None:
        worn.insert(0, style)
        prompt = unwrap(style.prompt, prompt) or ""
        bare = unwrap(style.negative_prompt, negative)
        negative = negative if bare is None else bare
    return worn, prompt, negative


def toggle(
    styles: Sequence[Style], name: str, prompt: str, negative: str, lines: bool = False
) -> tuple[str, str]:
    """Both texts with a style put on, or taken off where it is worn; unknown names change nothing.

    ``lines``: every line of the prompt is one of its own; the style is taken off where all wear it.
    """
    parts = [line for line in prompt.splitlines() if line.strip()] if lines else []
    parts = parts or [prompt]
    wears = [any(style.name == name for style in worn_by(styles, part, negative)[0]) for part in parts]
    dressed = [_with_or_without(styles, name, part, negative, not all(wears)) for part in parts]
    return "\n".join(part for part, _ in dressed), dressed[0][1]


def _with_or_without(
    styles: Sequence[Style], name: str, prompt: str, negative: str, put_on: bool
) -> tuple[str, str]:
    worn, prompt, negative = worn_by(styles, prompt, negative)
    others = [style for style in worn if style.name != name]
    if put_on:
        worn = worn if len(others) < len(worn) else [*worn, *(s for s in styles if s.name == name)]
    return dress(worn if put_on else others, prompt, negative)


def dress(styles: Sequence[Style], prompt: str, negative: str) -> tuple[str, str]:
    """Both texts with styles put on, one around the other."""
    for style in styles:
        prompt, negative = wrap(style.prompt, prompt), wrap(style.negative_prompt, negative)
    return prompt, negative


def _outermost(styles: Sequence[Style], worn: Sequence[Style], prompt: str, negative: str) -> Style | None:
    for style in styles:
        template, text = (style.prompt, prompt)
        if template == PROMPT:
            template, text = (style.negative_prompt, negative)
        if template != PROMPT and style not in worn and unwrap(template, text) is not None:
            return style
    return None

"""The look: calm greys with one green-blue accent, in light and dark, and the page's own styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.themes.utils import colors, sizes

from ui.assets import ASSETS, read_scripts

ICON = ASSETS / "icon.svg"

TAGS = {"en": "en", "zh": "zh-CN"}
"""Language of the page -> what a browser calls it."""

_LANGUAGE_JS = """
document.documentElement.lang = '{tag}';
Object.defineProperty(navigator, 'language', {{ get: () => '{tag}', configurable: true }});
Object.defineProperty(navigator, 'languages', {{ get: () => ['{tag}'], configurable: true }});
"""

_ACCENT = colors.Color(
    name="lagoon",
    c50="#effaf9",
    c100="#d3f1ee",
    c200="#a9e3de",
    c300="#74cdc8",
    c400="#42b0ad",
    c500="#259493",
    c600="#177778",
    c700="#155f61",
    c800="#144c4e",
    c900="#133f42",
    c950="#062426",
)
_INK = colors.Color(
    name="ink",
    c50="#f7f8f9",
    c100="#eef0f2",
    c200="#dfe3e7",
    c300="#c6ccd3",
    c400="#97a1ad",
    c500="#5f6977",
    c600="#515b68",
    c700="#3d4550",
    c800="#262c35",
    c900="#191e25",
    c950="#101419",
)
_FONT = ("Inter", "ui-sans-serif", "system-ui", "PingFang SC", "Noto Sans CJK SC", "sans-serif")


_SURFACES = {
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "background_fill_primary": "white",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary": "*neutral_100",
    "background_fill_secondary_dark": "*neutral_800",
    "body_text_color_subdued": "*neutral_500",
    "body_text_color_subdued_dark": "*neutral_400",
    "block_background_fill": "transparent",
    "block_background_fill_dark": "transparent",
    "block_padding": "0",
    "layout_gap": "14px",
    "form_gap_width": "0px",
    "block_border_width": "0px",
    "block_border_width_dark": "0px",
    "block_shadow": "none",
    "block_label_text_weight": "500",
    "block_title_text_weight": "500",
    "block_title_text_color": "*neutral_700",
    "block_title_text_color_dark": "*neutral_200",
    "block_info_text_color": "*neutral_500",
    "block_info_text_color_dark": "*neutral_400",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_800",
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_900",
    "input_border_color": "*neutral_200",
    "input_border_color_dark": "*neutral_700",
    "input_border_width": "1px",
    "input_placeholder_color": "*neutral_500",
    "input_placeholder_color_dark": "*neutral_400",
    "input_border_color_focus": "*primary_500",
    "input_border_color_focus_dark": "*primary_400",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_500",
    "button_primary_background_fill_hover_dark": "*primary_400",
    "button_primary_text_color": "white",
    "button_primary_text_color_dark": "*neutral_950",
    "button_secondary_background_fill": "*neutral_100",
    "button_secondary_background_fill_hover": "*neutral_200",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_background_fill_hover_dark": "*neutral_700",
    "checkbox_label_background_fill": "white",
    "checkbox_label_background_fill_dark": "*neutral_900",
    "checkbox_label_border_color": "*neutral_200",
    "checkbox_label_border_color_dark": "*neutral_700",
    "checkbox_label_border_width": "1px",
    "checkbox_label_shadow": "none",
    "checkbox_label_padding": "6px 10px",
    "checkbox_label_background_fill_selected": "*primary_100",
    "checkbox_label_background_fill_selected_dark": "*primary_900",
    "checkbox_label_text_color_selected": "*primary_800",
    "checkbox_label_text_color_selected_dark": "*primary_100",
    "slider_color": "*primary_500",
    "slider_color_dark": "*primary_400",
}
"""Flat: only what can be typed into or pressed has a surface of its own."""


_SHEETS = ("studio", "panel", "prompting", "recipes", "queue", "timeline", "cropping", "arriving")


def theme() -> gr.themes.Base:
    """The studio's theme."""
    return gr.themes.Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=_INK,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=_FONT,
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "monospace"),
    ).set(**_SURFACES)


def look(language: str, more_sheets: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments of ``launch`` that decide how the page looks.

    The browser is told the page's language before Gradio asks for it, which otherwise words its own parts
    in the browser's.
    """
    told = _LANGUAGE_JS.format(tag=TAGS[language])
    script = read_scripts("studio.js")
    sheets = (ASSETS / "css" / f"{name}.css" for name in (*_SHEETS, *more_sheets))
    style = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    return {
        "theme": theme(),
        "head": f"<style>{style}</style><script>{told}{script}</script>",
    }

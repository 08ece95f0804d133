"""What a field of a request or of the settings is called on the page, in the page's language.

The schema names its fields in English; another language names the same fields in a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wan_core.media.encoders import ENCODERS
from wan_core.schema import knobs
from wan_core.schema.knob import Knob
from wan_core.schema.settings import setting_knobs


@dataclass(frozen=True)
class Named:
    """A control's label, and what it does to the picture."""

    label: str
    help: str


def in_english(fields: Mapping[str, Knob]) -> dict[str, Named]:
    """The names that the schema gives."""
    return {name: Named(knob.label, knob.help) for name, knob in fields.items()}


REQUEST_NAMES = in_english(knobs())
SETTING_NAMES = in_english(setting_knobs())

CHOICE_TITLES = {
    "": "None",
    "unipc": "UniPC",
    "dpm++": "DPM++",
    "lcm": "LCM",
    "res_multistep": "RES multistep",
    "deis": "DEIS",
    "er_sde": "ER-SDE",
    "ease-in": "Ease in",
    "ease-out": "Ease out",
    "negative": "The negative pass",
    "third": "A third pass",
    "png": "PNG",
    "png-folder": "PNG frames in a folder",
    "video_format:png": "PNG frames in a ZIP",
    "jpeg": "JPEG",
    "webp": "WebP",
    "mp4": "MP4",
    "webm": "WebM",
    "gif": "GIF",
    **{codec: encoder.title for codec, encoder in ENCODERS.items()},
    "teacache": "TeaCache",
    "teacache-retention": "TeaCache, first five steps computed",
    "easycache": "EasyCache",
    "magcache": "MagCache",
    "first-block": "First-block cache",
    "windows:": "Off",
    "static": "Windows, fixed",
    "uniform": "Windows, moving",
    "looped": "Endless loop",
    "sliding fuse=linear": "Windows, as in DiffSynth-Studio",
    "flow": "Optical flow",
    "sigma": "Shortened noise range",
    "steps": "Skipped steps",
    "before": "What comes before",
    "after": "What comes after",
}
"""Words of a request that are not shown as they are written; the others get a capital, see ``title_of``.

A word that means different things in several fields has a key with the field before it.
"""


def title_of(word: str, titles: Mapping[str, str]) -> str:
    """How a word that a field can be is shown."""
    return titles.get(word) or word.replace("-", " ").capitalize()

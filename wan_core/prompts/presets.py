"""Presets, the settings of a tab by name, and styles, which all tabs share: kept, sent on and taken in."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from wan_core.prompts.named import Fields, NamedFiles, safe_name
from wan_core.prompts.styles import BUILT_IN, PROMPT, Style
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.inputs import MEDIA_FIELDS

log = logging.getLogger(__name__)

LEFT_OUT = MEDIA_FIELDS | {"crops", "prompt", "seed"}
"""What a preset leaves as it is: the words, the seed, what is given and which part of it."""

_MARK = "wan_studio_presets"
_VERSION = 1
_MAX_BUNDLE = 2**20
_TAB = re.compile(r"[a-z][a-z0-9]{0,20}")
_STYLES = "styles"


class PresetStore:
    """Presets and styles of a home.

    Args:
        folder: has a folder for each tab, and one for the styles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._styles = NamedFiles(folder / _STYLES, "style")

    # -- presets ----------------------------------------------------------------------------------

    def names(self, tab: str) -> list[str]:
        """The presets of a tab."""
        return self._of(tab).names()

    def read(self, tab: str, name: str) -> Fields:
        """The request fields of a preset; fields that this version does not know are left out.

        Raises:
            InvalidRequest: there is none of the name, or it is damaged.
        """
        found = self._of(tab).read(name).get("request")
        return _known(found if isinstance(found, dict) else {})

    def save(self, tab: str, name: str, request: GenerationRequest) -> str:
        """Keep what a request says, but for ``LEFT_OUT``; returns the name as it is kept.

        Raises:
            InvalidRequest: the name is none.
            OSError: the disk refuses.
        """
        fields = request.model_dump(mode="json", exclude=set(LEFT_OUT), exclude_none=True)
        return self._of(tab).save(name, {"request": fields})

    def delete(self, tab: str, name: str) -> None:
        """Remove a preset; see ``NamedFiles.delete``."""
        self._of(tab).delete(name)

    def find(self, name: str, tab: str | None = None) -> Fields:
        """The fields of a preset by its name alone, by "tab/name", or in the tab ``tab``.

        Raises:
            InvalidRequest: there is none, or several tabs have one of this name.
        """
        before, slash, after = name.partition("/")
        if slash:
            tab, name = before, after
        name = safe_name(name, "preset")
        tabs = [tab] if tab else [tab for tab in self.tabs() if name in self.names(tab)]
        if len(tabs) > 1:
            named = " or ".join(f"{tab}/{name}" for tab in tabs)
            raise InvalidRequest("preset", f"{name!r} is in several tabs", f"Name one: {named}.")
        if not tabs:
            there = [f"{tab}/{name}" for tab in self.tabs() for name in self.names(tab)]
            known = ", ".join(there[:12]) or "none yet; save one in the studio"
            raise InvalidRequest("preset", f"there is no {name!r}", f"There are: {known}.")
        return self.read(tabs[0], name)

    # -- styles -----------------------------------------------------------------------------------

    def styles(self) -> list[Style]:
        """All styles: the studio's own, and those of the person, which come after them or in their place."""
        found = {style.name: style for style in BUILT_IN}
        for name in self._styles.names():
            try:
                found[name] = _style(name, self._styles.read(name))
            except InvalidRequest as error:  # the others are of use all the same
                log.warning("%s", error)
        return list(found.values())

    def find_style(self, name: str) -> Style:
        """A style by its name.

        Raises:
            InvalidRequest: there is none.
        """
        styles = {style.name.casefold(): style for style in self.styles()}
        if name.casefold() not in styles:
            there = ", ".join(style.name for style in styles.values())
            raise InvalidRequest("style", f"there is no {name[:60]!r}", f"There are: {there}.")
        return styles[name.casefold()]

    def save_style(self, name: str, prompt: Any, negative_prompt: Any = "") -> str:
        """Keep a style; words without ``{prompt}`` come after it.

        Raises:
            InvalidRequest: the name is none, or there are no words.
            OSError: the disk refuses.
        """
        fields = {"prompt": prompt or PROMPT, "negative_prompt": negative_prompt or PROMPT}
        style = _style(safe_name(name, "style"), fields)
        kept = {"prompt": style.prompt, "negative_prompt": style.negative_prompt}
        return self._styles.save(style.name, kept)

    def delete_style(self, name: str) -> None:
        """Remove a style of the person's own; see ``NamedFiles.delete``."""
        self._styles.delete(name)

    # -- sending on and taking in -----------------------------------------------------------------

    def export(self) -> str:
        """All presets and all styles of the person's own, as JSON."""
        presets = {
            tab: {name: self.read(tab, name) for name in self.names(tab) if self._is_fine(tab, name)}
            for tab in self.tabs()
        }
        own = [style for style in self.styles() if style.is_own]
        styles = {s.name: {"prompt": s.prompt, "negative_prompt": s.negative_prompt} for s in own}
        return json.dumps(
            {_MARK: _VERSION, "presets": presets, "styles": styles}, indent=2, ensure_ascii=False
        )

    def take_in(self, text: str) -> tuple[int, int]:
        """Keep what ``export`` wrote; a name that is taken by something else gets a number behind it.

        Returns:
            How many presets and styles came.

        Raises:
            InvalidRequest: the text is no such file, or something in it is refused; nothing is kept then.
            OSError: the disk refuses.
        """
        presets, styles = _read_bundle(text)
        for tab, name, request in presets:
            files = self._of(tab)
            fields = {"request": request.model_dump(mode="json", exclude=set(LEFT_OUT), exclude_none=True)}
            files.save(_free(files, name, fields), fields)
        for style in styles:
            fields = {"prompt": style.prompt, "negative_prompt": style.negative_prompt}
            self._styles.save(_free(self._styles, style.name, fields), fields)
        return len(presets), len(styles)

    def _of(self, tab: str) -> NamedFiles:
        return NamedFiles(self._folder / _safe_tab(tab), "preset")

    def tabs(self) -> list[str]:
        """The tabs that have had presets."""
        folders = sorted(path.name for path in self._folder.glob("*") if path.is_dir())
        return [name for name in folders if _TAB.fullmatch(name) and name != _STYLES]

    def _is_fine(self, tab: str, name: str) -> bool:
        try:
            self.read(tab, name)
        except InvalidRequest as error:
            log.warning("%s", error)
            return False
        return True


def _safe_tab(tab: str) -> str:
    if not _TAB.fullmatch(tab) or tab == _STYLES:
        raise InvalidRequest("preset", f"{tab[:40]!r} is no tab", "Name one such as t2v or i2v.")
    return tab


def _known(fields: Fields) -> Fields:
    """The fields that a request has, checked.

    Raises:
        InvalidRequest: one is refused.
    """
    names = GenerationRequest.model_fields.keys() - LEFT_OUT
    known = {name: value for name, value in fields.items() if name in names}
    parsed = GenerationRequest.parse(known)
    return parsed.model_dump(mode="json", include=set(known))


def _style(name: str, fields: Fields) -> Style:
    texts = {}
    for field in ("prompt", "negative_prompt"):
        text = fields.get(field, PROMPT)
        if not isinstance(text, str) or len(text) > 5000 or text.count(PROMPT) > 1 or "\0" in text:
            raise InvalidRequest(
                "style", f"the words of {name!r} are refused", f"Write {PROMPT} once, where the prompt goes."
            )
        texts[field] = text if PROMPT in text else f"{PROMPT}, {text.strip(' ,')}"
    if set(texts.values()) == {PROMPT}:
        raise InvalidRequest("style", f"{name!r} has no words", f"Write some around {PROMPT}.")
    return Style(name, **texts, is_own=True)


def _read_bundle(text: str) -> tuple[list[tuple[str, str, GenerationRequest]], list[Style]]:
    remedy = "Choose a file that Export has written."
    try:
        found = json.loads(text) if len(text) <= _MAX_BUNDLE else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get(_MARK) != _VERSION:
        raise InvalidRequest("file", "it holds no presets of Wan Studio", remedy)
    kinds = [found.get(kind, {}) for kind in ("presets", "styles")]
    tabs = list(kinds[0].values()) if isinstance(kinds[0], dict) else [None]
    if not all(isinstance(part, dict) for part in (*kinds, *tabs)):
        raise InvalidRequest("file", "its presets cannot be read", remedy)
    presets = [
        (_safe_tab(tab), safe_name(name, "preset"), GenerationRequest.parse(_known(_dict(fields))))
        for tab, held in kinds[0].items()
        for name, fields in held.items()
    ]
    return presets, [_style(safe_name(name, "style"), _dict(fields)) for name, fields in kinds[1].items()]


def _dict(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}


def _free(files: NamedFiles, name: str, fields: Fields) -> str:
    """The name, or one with a number where something else has it."""
    taken, free, number = set(files.names()), name, 1
    while free in taken and files.read(free) != fields:
        number += 1
        free = f"{name[:54]} ({number})"
    return free

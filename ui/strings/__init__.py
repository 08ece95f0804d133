"""The page's texts, a file per language."""

from ui.strings.en import ENGLISH
from ui.strings.naming import title_of
from ui.strings.texts import Texts
from ui.strings.zh import CHINESE

LANGUAGES = {texts.language: texts for texts in (ENGLISH, CHINESE)}
"""The languages that the page is there in, by their codes; the first is at the root."""

__all__ = ["CHINESE", "ENGLISH", "LANGUAGES", "Texts", "title_of"]

"""The page's texts, a file per language."""

from ui.strings.en import ENGLISH
from ui.strings.texts import Texts

LANGUAGES: dict[str, Texts] = {"en": ENGLISH}

__all__ = ["ENGLISH", "LANGUAGES", "Texts"]

"""The page's texts, a file per language."""

from ui.strings.en import ENGLISH
from ui.strings.naming import title_of
from ui.strings.texts import Texts

__all__ = ["ENGLISH", "Texts", "title_of"]

"""Prompts to token ids, from the files of a local folder.

Only ``__call__`` needs torch, and imports it itself: a process without torch counts tokens too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wan_core.models.umt5.config import TEXT_LEN
from wan_core.models.umt5.text import clean_text
from wan_core.schema.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

PAD_ID = 0
EOS_ID = 1

Splitter = Callable[[str], list[int]]  # cleaned text -> ids without the end mark


class PromptTokenizer:
    """The umT5 tokenizer (spec 4).

    Args:
        folder: holds ``tokenizer.json`` (what the official code reads), or else ``spiece.model``.
        max_length: tokens that the model reads; longer prompts are cut.

    Raises:
        WeightsError: neither file is there, or it cannot be read.
    """

    def __init__(self, folder: Path, max_length: int = TEXT_LEN) -> None:
        self.max_length = max_length
        for name, open_file in _FORMATS:
            if (folder / name).is_file():
                self._split = open_file(folder / name)
                return
        names = " or ".join(name for name, _ in _FORMATS)
        raise WeightsError(f"{folder} holds no tokenizer; put {names} of google/umt5-xxl there.")

    def __call__(self, texts: str | Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask of one prompt or several, padded to the longest.

        Returns:
            Two int64 tensors of shape (B, L), L at most ``max_length``; the mask is 1 where a token is real.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        rows = [self.encode(text) for text in ([texts] if isinstance(texts, str) else texts)]
        ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD_ID)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.int64) for row in rows], batch_first=True)
        return ids, mask

    def encode(self, text: str) -> list[int]:
        """Ids of the cleaned text with the end mark, cut to ``max_length``."""
        return [*self._split(clean_text(text))[: self.max_length - 1], EOS_ID]

    def count(self, text: str) -> int:
        """Tokens that the text needs, end mark included; what exceeds ``max_length`` is lost on the model."""
        return len(self._split(clean_text(text))) + 1


def _open_tokenizer_json(path: Path) -> Splitter:
    from tokenizers import Tokenizer

    try:
        content = path.read_text(encoding="utf-8")
        json.loads(content)  # the library's own complaint about a cut-off file is a bare Exception
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; download it again.") from error
    tokenizer = Tokenizer.from_str(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _open_sentencepiece(path: Path) -> Splitter:
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}; download it again.") from error
    return lambda text: processor.encode(text)


_FORMATS: tuple[tuple[str, Callable[[Path], Splitter]], ...] = (
    ("tokenizer.json", _open_tokenizer_json),
    ("spiece.model", _open_sentencepiece),
)

TOKENIZER_FILES = tuple(name for name, _ in _FORMATS)
"""What a folder holds one of, the preferred first."""

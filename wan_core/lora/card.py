"""What a LoRA file says of itself: its family, its width, trigger words, a picture. Imports no torch.

It is told by the file's header alone, and nothing in it is trusted: texts are cut short, a picture is one
of three kinds and small, and the rest is left out.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wan_core.lora.families import foreign_family
from wan_core.lora.names import read_key

MAX_PREVIEW_BYTES = 2**20

_MAX_WORDS, _LONGEST_WORD, _LONGEST_TEXT = 12, 100, 300
_WORD_KEYS = ("modelspec.trigger_phrase", "trigger_words", "trigger_word", "trained_words", "trainedWords")
_TAGS_SHOWN = 5
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=\s]+)")
_PICTURE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
_LARGE = ("self_attn", "attn1")  # where a transformer's own width is read from


@dataclass(frozen=True)
class LoraCard:
    """What is told about a LoRA before it is used.

    Attributes:
        title: its title, or an empty text.
        words: what to write in the prompt, as its maker says.
        tags: the most frequent captions of its training, where its maker named no words.
        base: the model it was trained on, as its maker says.
        family: the family of models that it is for if that is not Wan, else None.
        width: the width of the transformer that it fits, else None.
        rank: of its matrices, the most frequent, else None.
        preview: a picture as an address of its own content, or an empty text.
    """

    title: str = ""
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    base: str = ""
    family: str | None = None
    width: int | None = None
    rank: int | None = None
    preview: str = ""


@dataclass(frozen=True)
class Scaling:
    """The alpha of PEFT, which is not among the tensors but in the metadata.

    ``alphas`` are for parts whose name ends so; ``rooted`` divides by the root of the rank; ``rank`` is for
    parts whose matrices have none.
    """

    alpha: float | None = None
    alphas: tuple[tuple[str, float], ...] = ()
    rooted: bool = False
    rank: float | None = None

    def of(self, part: str, rank: int | None) -> float:
        """What the product of a part's matrices is multiplied by."""
        found = (alpha for ending, alpha in self.alphas if part == ending or part.endswith(f".{ending}"))
        alpha, rank = next(found, self.alpha), rank or self.rank
        if alpha is None or not rank:
            return 1.0
        return alpha / (math.sqrt(rank) if self.rooted else rank)


UNSCALED = Scaling()
"""Of every file that is not PEFT's own: a part's alpha is among its tensors, or it is its rank."""


def read_card(shapes: Mapping[str, Sequence[int]], told: Mapping[str, str]) -> LoraCard:
    """The card of a LoRA, from the shapes of its tensors and the metadata of its file."""
    ranks, widths = Counter(), Counter()
    for name, shape in shapes.items():
        key = read_key(name)
        if key and key[1] == "down" and len(shape) >= 2:
            ranks[shape[0]] += 1
            if any(word in key[0] for word in _LARGE):
                widths[shape[1]] += 1
    words = _words(told)
    return LoraCard(
        title=_text(told, "modelspec.title") or _text(told, "ss_output_name"),
        words=words,
        tags=() if words else _tags(told),
        base=_text(told, "modelspec.architecture") or _text(told, "ss_base_model_version"),
        family=foreign_family(shapes),
        width=_commonest(widths),
        rank=_commonest(ranks),
        preview=_preview(told),
    )


def read_scaling(told: Mapping[str, str], config: str | bytes = "") -> Scaling:
    """How PEFT scales a file: told in its metadata, or in the ``adapter_config.json`` beside it."""
    values = _json_object(told.get("lora_adapter_metadata", ""))
    values = {name.removeprefix("transformer."): value for name, value in values.items()}
    values = values or _json_object(config)
    patterns = values.get("alpha_pattern")
    alphas = patterns.items() if isinstance(patterns, dict) else ()
    return Scaling(
        alpha=_number(values.get("lora_alpha", values.get("alpha"))),
        alphas=tuple((str(end), number) for end, alpha in alphas if (number := _number(alpha)) is not None),
        rooted=values.get("use_rslora") is True,
        rank=_number(values.get("r")),
    )


def _commonest(counts: Counter[int]) -> int | None:
    return counts.most_common(1)[0][0] if counts else None


def _text(told: Mapping[str, str], key: str) -> str:
    return told.get(key, "").strip()[:_LONGEST_TEXT]


def _words(told: Mapping[str, str]) -> tuple[str, ...]:
    for key in _WORD_KEYS:
        text = told.get(key, "").strip()
        if not text:
            continue
        given = _json(text)
        parts = given if isinstance(given, list) else text.split(",")
        words = [word.strip()[:_LONGEST_WORD] for word in parts if isinstance(word, str) and word.strip()]
        if words:
            return tuple(dict.fromkeys(words))[:_MAX_WORDS]
    return ()


def _tags(told: Mapping[str, str]) -> tuple[str, ...]:
    """The captions that kohya's trainers count, over all folders."""
    counts: Counter[str] = Counter()
    for folder in _json_object(told.get("ss_tag_frequency", "")).values():
        for tag, count in folder.items() if isinstance(folder, dict) else ():
            if isinstance(count, int):
                counts[str(tag).strip()[:_LONGEST_WORD]] += count
    return tuple(tag for tag, _ in counts.most_common(_TAGS_SHOWN) if tag)


def _preview(told: Mapping[str, str]) -> str:
    """The thumbnail, if it is a small picture of a kind that every browser shows and nothing else."""
    text = told.get("modelspec.thumbnail", "").strip()
    match = _PICTURE.fullmatch(text) if len(text) < 2 * MAX_PREVIEW_BYTES else None
    if match is None:
        return ""
    try:
        content = base64.b64decode(match[1])
    except (binascii.Error, ValueError):
        return ""
    return text if content.startswith(_PICTURE_STARTS) and len(content) <= MAX_PREVIEW_BYTES else ""


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_object(text: str | bytes) -> dict[str, Any]:
    value = _json(text)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None

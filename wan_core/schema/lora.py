"""How a request names the LoRAs that it wants, how strongly, and where in the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wan_core.schema.file_name import is_file_name

MAX_LORAS = 16
MAX_STRENGTHS = 200
STRONGEST = 2.0

PARTS = ("self_attn", "cross_attn", "ffn", "other")
"""What a block filter can name: the parts of a block, and everything else of the model."""

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")

_NUMBERS = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_BLOCK = re.compile(r"blocks\.(\d+)\.(\w+)")


@dataclass(frozen=True)
class BlockFilter:
    """Which parts of a model a LoRA may touch; None is all.

    ``blocks`` are numbers of transformer blocks, ``parts`` words of ``PARTS``. Where only one of them is
    given, the other is open; what is in no block is touched if ``other`` is named, or nothing is.
    """

    blocks: frozenset[int] | None = None
    parts: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str) -> BlockFilter:
        """Read ``"0-9, 20, self_attn"``; an empty text lets all pass.

        Raises:
            ValueError: naming the word that is neither a block, a range nor a part.
        """
        numbers: set[int] = set()
        parts: set[str] = set()
        for word in text.replace(",", " ").split():
            if word in PARTS:
                parts.add(word)
                continue
            match = _NUMBERS.fullmatch(word)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if last < first:
                raise ValueError(
                    f"{word[:40]!r} is no block; write numbers, ranges and parts, such as 0-9, 20, {PARTS[0]}"
                )
            numbers.update(range(first, last + 1))
        return cls(frozenset(numbers) or None, frozenset(parts) or None)

    def allows(self, path: str) -> bool:
        """Whether the part of a transformer with this official name may be touched."""
        match = _BLOCK.match(path)
        part = match[2] if match and match[2] in PARTS else "other"
        if match is None and self.blocks is not None:
            return self.parts is not None and "other" in self.parts
        within = match is None or self.blocks is None or int(match[1]) in self.blocks
        return within and (self.parts is None or part in self.parts)


def check_name(name: str) -> str:
    """A LoRA's name: a file, perhaps in a sub-folder, of a folder of LoRAs; never a way out of it.

    Raises:
        ValueError: it is none.
    """
    if not is_file_name(name, SUFFIXES):
        raise ValueError(
            f"{name[:60]!r} is no name of a LoRA; give the name of a .safetensors file in the loras folder"
        )
    return name


def check_blocks(text: str) -> str:
    """A block filter, as it was written; see ``BlockFilter.parse``."""
    BlockFilter.parse(text)
    return text


Strength = Annotated[float, Field(ge=-STRONGEST, le=STRONGEST)]


class LoraUse(BaseModel):
    """One LoRA of a request.

    Attributes:
        file: its name in a folder of LoRAs.
        strength: what its change is multiplied by; several are for one step each, the last for all that
            follow.
        blocks: which parts of the model it may touch, see ``BlockFilter``; empty is all.
        merge: add it to the weights once instead of beside them in every step: a little faster, but the
            model is read again from its files for the next job without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: Annotated[str, AfterValidator(check_name)]
    strength: Strength | Annotated[tuple[Strength, ...], Field(min_length=1, max_length=MAX_STRENGTHS)] = 1.0
    blocks: Annotated[str, Field(max_length=200), AfterValidator(check_blocks)] = ""
    merge: bool = False

    @model_validator(mode="after")
    def _merges_one_strength(self) -> LoraUse:
        if self.merge and isinstance(self.strength, tuple):
            raise ValueError("a strength per step cannot be merged into the weights; leave merge off")
        return self

    def strength_at(self, step: int) -> float:
        """The strength in a step, counted from 0."""
        if isinstance(self.strength, tuple):
            return self.strength[min(step, len(self.strength) - 1)]
        return self.strength

    @classmethod
    def read(cls, text: str) -> LoraUse:
        """Read ``FILE[:STRENGTH[:BLOCKS[:merge]]]``, several strengths separated by commas.

        Raises:
            ValueError: it says no strength or no name.
        """
        file, _, rest = text.partition(":")
        strengths, _, rest = rest.partition(":")
        blocks, _, merge = rest.partition(":")
        if merge not in ("", "merge"):
            raise ValueError(f"{merge[:40]!r} is not known; after the blocks write merge, or nothing")
        try:
            numbers = tuple(float(word) for word in strengths.split(",")) if strengths else (1.0,)
        except ValueError as error:
            raise ValueError(f"{strengths[:40]!r} is no strength; write a number, such as 0.8") from error
        strength = numbers if len(numbers) > 1 else numbers[0]
        return cls(file=file, strength=strength, blocks=blocks, merge=bool(merge))

    def written(self) -> str:
        """What ``read`` makes this of."""
        strengths = self.strength if isinstance(self.strength, tuple) else (self.strength,)
        words = [self.file, ",".join(map(repr, strengths)), self.blocks, "merge" if self.merge else ""]
        return ":".join(words).rstrip(":")

"""Which part of each input is used: a box drawn on it, in shares of its sides."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

SMALLEST = 0.02
"""Of a side; what is smaller shows nothing any more."""


class CropBox(NamedTuple):
    """Left, top, right and bottom edge of a part, from 0 to 1 of the width or height of the whole."""

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        return ",".join(f"{share:g}" for share in self)


def _is_part(box: CropBox) -> CropBox | None:
    """The box if it is one that can be used; all of a picture is no part of it."""
    for low, high in ((box.left, box.right), (box.top, box.bottom)):
        if not (low >= 0 and high <= 1):
            raise ValueError(f"{box} lies outside of the picture; write shares from 0 to 1")
        if high - low < SMALLEST:
            raise ValueError(f"{box} is empty; write left, top, right and bottom, such as 0.1,0,0.9,1")
    box = CropBox(*(round(share, 5) for share in box))
    return None if box == _WHOLE else box


_WHOLE = CropBox(0, 0, 1, 1)

Part = Annotated[CropBox, AfterValidator(_is_part)]


class Crops(BaseModel):
    """The parts that are used of a request's inputs; None is the whole. A mask is cut as what it is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Part | None = None
    last_image: Part | None = None
    video: Part | None = None

    def without(self, *fields: str) -> Crops | None:
        """The others; None where there are none."""
        return or_none(self.model_copy(update=dict.fromkeys(fields)))

    @classmethod
    def read(cls, text: str) -> Crops | None:
        """Read ``name=left,top,right,bottom`` of any inputs, such as ``image=0.1,0,0.9,1``; no part is None.

        Raises:
            ValueError: a word is no such part.
        """
        parts: dict[str, list[str]] = {}
        for word in text.lower().split():
            name, _, box = word.partition("=")
            if name not in cls.model_fields or box.count(",") != 3:
                raise ValueError(
                    f"{word[:40]!r} is no part of an input; write {', '.join(cls.model_fields)} and its box, "
                    "such as image=0.1,0,0.9,1"
                )
            parts[name] = box.split(",")
        try:
            return or_none(cls.model_validate(parts))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = first["loc"][0] if first["loc"] else "crops"
            raise ValueError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error

    def __str__(self) -> str:
        """What ``read`` makes this of."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return " ".join(f"{name}={box}" for name, box in parts.items() if box is not None)


def read_crops(given: object) -> object:
    """Crops may be given in words, see ``Crops.read``."""
    return Crops.read(given) if isinstance(given, str) else given


def or_none(crops: Crops | None) -> Crops | None:
    """Parts of nothing are none."""
    return None if crops == Crops() else crops

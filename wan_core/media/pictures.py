"""Pictures out of files, decoded in a confined process; sizes are checked before pixels are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wan_core.confined.helpers import Answer, HelperDied, HelperLate, Helpers
from wan_core.media.sniff import GIF, sniff
from wan_core.schema import MediaError

MAX_PICTURE_PIXELS = 40_000_000
MIN_SIDE = 16
MAX_ASPECT = 10

SECONDS = 20.0
"""That a picture may take before its decoder is killed."""

_helpers = Helpers("wan_core.media.picture_process", SECONDS)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is shown, upright.

    Raises:
        MediaError: it is no picture, is damaged, or is too large or too small.
    """
    values = _ask(path, mode="turned").values
    width, height = values["size"]
    return (height, width) if values["turned"] else (width, height)


def decoded(path: Path, mode: str, backdrop: str) -> np.ndarray:
    """A picture, uint8, upright: (H, W, 3) in the mode "RGB" or (H, W) in "L", laid on a colour; or how
    opaque it is, (H, W) in "A".

    Raises:
        MediaError: as ``picture_size``.
    """
    _ask(path, mode=None)  # refuses by size
    answer = _ask(path, mode=mode, backdrop=backdrop)
    width, height = answer.values["shown"]
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return np.frombuffer(answer.data, np.uint8).reshape(shape)


def check_size(name: str, width: int, height: int, most: int) -> None:
    """Refuse what no model can use.

    Raises:
        MediaError: it has more than ``most`` pixels, or is very small or narrow.
    """
    if width * height > most:
        raise MediaError(
            f"{name} is {width}x{height} pixels; make it smaller, to at most {most / 1e6:.0f} megapixels."
        )
    if min(width, height) < MIN_SIDE:
        raise MediaError(f"{name} is {width}x{height} pixels; choose one of at least {MIN_SIDE}x{MIN_SIDE}.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise MediaError(f"{name} is {width}x{height} pixels; crop it to sides of at most {MAX_ASPECT} to 1.")


def _ask(path: Path, **wanted: Any) -> Answer:
    found = sniff(path)
    if found.kind != "image" and found is not GIF:
        raise MediaError(f"{path.name} is a {found.kind}; a picture is needed.")
    told = {"path": str(path.resolve()), "reader": found.reader.upper(), "most": MAX_PICTURE_PIXELS}
    damaged = f"{path.name} is a damaged picture; choose another copy of it."
    try:
        answer = _helpers.ask(told | wanted)
    except HelperLate as error:
        raise MediaError(f"{path.name} takes too long to decode; save it anew as PNG or JPEG.") from error
    except HelperDied as error:
        raise MediaError(damaged) from error
    if "size" in answer.values:
        check_size(path.name, *answer.values["size"], MAX_PICTURE_PIXELS)
    if "damaged" in answer.values:
        raise MediaError(damaged)
    return answer

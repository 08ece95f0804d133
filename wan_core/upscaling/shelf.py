"""The files of upscalers on this machine, by their names. No torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.output import UPSCALER_SUFFIXES, OutputOptions
from wan_core.schema.shelf import Shelf

_SHELF = Shelf(
    own=lambda settings: settings.upscalers_dir,
    called=("upscalers", "upscale_models"),
    # ours, ComfyUI's, its root's, the older web UIs'
    within=("upscalers", "upscale_models", "models/upscale_models", "models/ESRGAN", "models/RealESRGAN"),
    suffixes=UPSCALER_SUFFIXES,
    depth=3,
    most=500,
)

INSTALL = "pip install --no-deps spandrel einops"
"""Not what spandrel asks for besides: torch is here already, and no upscaler needs torchvision."""


def is_installed() -> bool:
    """Whether the library that runs upscalers is there."""
    return all(find_spec(package) is not None for package in ("spandrel", "einops"))


def list_upscalers(settings: Settings) -> list[str]:
    """The names of all upscalers, in the order of the alphabet."""
    return _SHELF.names(settings)


def find_upscaler(settings: Settings, name: str) -> Path:
    """The file of an upscaler.

    Raises:
        InvalidRequest: there is none of this name, or the name leads elsewhere.
    """
    path = _SHELF.find(settings, name)
    if path is None:
        raise InvalidRequest(
            "upscaler",
            f"{name[:80]!r} is not in any folder of upscalers",
            "Put the file into the upscalers folder of the studio's home, or leave the upscaler out.",
        )
    return path


def check_upscaler(options: OutputOptions, settings: Settings) -> Path | None:
    """The file that the options name, which can be run here as far as is known without torch.

    Raises:
        InvalidRequest: it is not on this machine, or the library is not.
    """
    if not options.upscaler:
        return None
    path = find_upscaler(settings, options.upscaler)
    if not is_installed():
        raise InvalidRequest(
            "upscaler",
            "the library spandrel, which runs upscalers, is not installed",
            f"Run {INSTALL} and start the studio again, or leave the upscaler out.",
        )
    return path

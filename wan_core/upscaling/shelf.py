"""The files of upscalers on this machine: in the studio's folder, in added ones, in ComfyUI's. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.comfyui import comfyui_folders
from wan_core.schema.file_name import is_file_name
from wan_core.schema.output import UPSCALER_SUFFIXES, OutputOptions

_WITHIN = ("upscalers", "upscale_models", "models/upscale_models", "models/ESRGAN", "models/RealESRGAN")
"""Where upscalers lie within a folder of models: ours, ComfyUI's, its root's, the older web UIs'."""

INSTALL = "pip install --no-deps spandrel einops"
"""Not what spandrel asks for besides: torch is here already, and no upscaler needs torchvision."""

_DEEPEST = 3
_MOST = 500


def is_installed() -> bool:
    """Whether the library that runs upscalers is there."""
    return all(find_spec(package) is not None for package in ("spandrel", "einops"))


def upscaler_folders(settings: Settings) -> list[Path]:
    """The folders that upscalers are named in; a name is looked for in this order."""
    folders = [settings.upscalers_dir]
    for folder in (*settings.model_folders, *comfyui_folders()):
        if folder.name in ("upscalers", "upscale_models"):
            folders.append(folder)
        folders += [folder / within for within in _WITHIN]
    return list(dict.fromkeys(folders))


def list_upscalers(settings: Settings) -> list[str]:
    """The names of all upscalers, in the order of the alphabet."""
    names = {name for folder in upscaler_folders(settings) for name in _names_in(folder)}
    return sorted(names, key=lambda name: (name.lower(), name))[:_MOST]


def find_upscaler(settings: Settings, name: str) -> Path:
    """The file of an upscaler.

    Raises:
        InvalidRequest: there is none of this name, or the name leads elsewhere.
    """
    if is_file_name(name, UPSCALER_SUFFIXES):
        for folder in upscaler_folders(settings):
            if (folder / name).is_file():
                return folder / name
    raise InvalidRequest(
        "upscaler",
        f"{name[:80]!r} is not in any folder of upscalers",
        "Put the file into the upscalers folder of the studio's home, or leave the upscaler out.",
    )


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


def _names_in(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, followlinks=True):
        within = Path(place).relative_to(folder)
        if len(within.parts) >= _DEEPEST:
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            name = (within / file).as_posix()
            if not file.startswith(".") and is_file_name(name, UPSCALER_SUFFIXES):
                yield name

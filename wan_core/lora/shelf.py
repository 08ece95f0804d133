"""The LoRA files of this machine: names in the studio's folder, in added ones, in ComfyUI's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.comfyui import comfyui_folders
from wan_core.schema.lora import SUFFIXES, check_name

_WITHIN = ("loras", "models/loras", "Loras", "models/Lora")
"""Where LoRAs lie within a folder of models: ComfyUI's, its root's, and those of the older web UIs."""

_DEEPEST = 4
_MOST = 2000


def lora_folders(settings: Settings) -> list[Path]:
    """The folders that LoRAs are named in; a name is looked for in this order."""
    folders = [settings.loras_dir]
    for folder in (*settings.model_folders, *comfyui_folders()):
        if folder.name.lower() in ("loras", "lora"):
            folders.append(folder)
        folders += [folder / within for within in _WITHIN]
    return list(dict.fromkeys(folders))


def find_lora(settings: Settings, name: str) -> Path:
    """The file of a LoRA.

    Raises:
        InvalidRequest: there is none of this name, or the name leads elsewhere.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidRequest("loras", str(error), "Choose one of the list.") from error
    for folder in lora_folders(settings):
        if (folder / name).is_file():
            return folder / name
    raise InvalidRequest(
        "loras", f"{name!r} is not in any folder of LoRAs", f"Put it into {settings.loras_dir}."
    )


def list_loras(settings: Settings) -> list[str]:
    """The names of all LoRAs, in the order of the alphabet."""
    names = {name for folder in lora_folders(settings) for name in _names_in(folder)}
    return sorted(names, key=lambda name: (name.lower(), name))[:_MOST]


def _names_in(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, followlinks=True):
        within = Path(place).relative_to(folder)
        if len(within.parts) >= _DEEPEST:
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            name = (within / file).as_posix()
            if file.endswith(SUFFIXES) and not file.startswith(".") and _is_name(name):
                yield name


def _is_name(name: str) -> bool:
    try:
        return check_name(name) == name
    except ValueError:
        return False

"""The LoRA files of this machine, by their names."""

from __future__ import annotations

from pathlib import Path

from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.lora import SUFFIXES, check_name
from wan_core.schema.shelf import Shelf

_SHELF = Shelf(
    own=lambda settings: settings.loras_dir,
    called=("loras", "lora"),
    within=("loras", "models/loras", "Loras", "models/Lora"),  # ComfyUI's, its root's, the older web UIs'
    suffixes=SUFFIXES,
    depth=4,
    most=2000,
)


def find_lora(settings: Settings, name: str) -> Path:
    """The file of a LoRA.

    Raises:
        InvalidRequest: there is none of this name, or the name leads elsewhere.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidRequest("loras", str(error), "Choose one of the list.") from error
    path = _SHELF.find(settings, name)
    if path is None:
        raise InvalidRequest(
            "loras", f"{name!r} is not in any folder of LoRAs", f"Put it into {settings.loras_dir}."
        )
    return path


def list_loras(settings: Settings) -> list[str]:
    """The names of all LoRAs, in the order of the alphabet."""
    return _SHELF.names(settings)

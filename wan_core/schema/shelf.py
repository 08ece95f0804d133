"""Files of one kind that a request names: in the studio's folder, in added ones, in ComfyUI's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wan_core.schema.comfyui import comfyui_folders
from wan_core.schema.file_name import is_file_name
from wan_core.schema.settings import Settings


@dataclass(frozen=True)
class Shelf:
    """Where files of a kind lie.

    Attributes:
        own: the studio's folder of them.
        called: what such a folder is called, in small letters, where somebody adds it by itself.
        within: where such folders lie within a folder of models.
        suffixes: what their names end with.
        depth: how many levels of sub-folders are looked into.
        most: how many are listed.
    """

    own: Callable[[Settings], Path]
    called: tuple[str, ...]
    within: tuple[str, ...]
    suffixes: tuple[str, ...]
    depth: int
    most: int

    def folders(self, settings: Settings) -> list[Path]:
        """The folders that files are named in; a name is looked for in this order."""
        folders = [self.own(settings)]
        for folder in (*settings.model_folders, *comfyui_folders()):
            if folder.name.lower() in self.called:
                folders.append(folder)
            folders += [folder / within for within in self.within]
        return list(dict.fromkeys(folders))

    def names(self, settings: Settings) -> list[str]:
        """All names, in the order of the alphabet."""
        names = {name for folder in self.folders(settings) for name in self._names_in(folder)}
        return sorted(names, key=lambda name: (name.lower(), name))[: self.most]

    def find(self, settings: Settings, name: str) -> Path | None:
        """The file of this name; None where there is none, or the name leads elsewhere."""
        if not is_file_name(name, self.suffixes):
            return None
        places = (folder / name for folder in self.folders(settings))
        return next((path for path in places if path.is_file()), None)

    def _names_in(self, folder: Path) -> Iterator[str]:
        for place, folders, files in os.walk(folder, followlinks=True):
            within = Path(place).relative_to(folder)
            if len(within.parts) >= self.depth:
                folders.clear()
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                name = (within / file).as_posix()
                if not file.startswith(".") and is_file_name(name, self.suffixes):
                    yield name

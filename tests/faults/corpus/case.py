"""A bad file, and what the studio is to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Door = Literal["media", "weights", "shards", "lora", "settings", "result"]
"""Where it comes in: an input of a form; a checkpoint; a folder of shards; a LoRA; a recipe; a result."""

CANARY = "CANARY-5b1f"
"""A text in files that must never be read."""
CANARY_RGB = (255, 0, 200)
"""The colour of pictures that must never be seen."""
MARKER = "MARKER"
"""The name of the file that code of a payload would leave in the corpus' folder."""


@dataclass(frozen=True)
class Case:
    """``refused`` is whether it must be; otherwise it may be used, if nothing else happens."""

    name: str
    door: Door
    path: Path
    refused: bool = True


class Shelf:
    """Writes the cases of one kind."""

    def __init__(self, folder: Path, door: Door) -> None:
        self.folder, self.door = folder, door
        self.cases: list[Case] = []

    def place(self, name: str, file: str) -> Path:
        """A folder of its own for a case, and the path of its file there."""
        path = self.folder / self.door / name.replace(" ", "-") / file
        path.parent.mkdir(parents=True)
        return path

    def add(self, name: str, file: str, content: bytes = b"", refused: bool = True) -> Path:
        """A case whose file holds ``content``."""
        path = self.place(name, file)
        path.write_bytes(content)
        return self.put(name, path, refused)

    def put(self, name: str, path: Path, refused: bool = True) -> Path:
        """A case whose file is written already."""
        self.cases.append(Case(f"{self.door} {self.folder.name} {name}", self.door, path, refused))
        return path

"""Where things live and what the machine may use; not part of any single video."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "bf16", "fp16", "fp32"]


def default_home() -> Path:
    """``$WAN_STUDIO_HOME``, else ``~/.wan-studio``."""
    return Path(os.environ.get("WAN_STUDIO_HOME") or Path.home() / ".wan-studio").expanduser()


class Settings(BaseModel):
    """Folders, device and precision. ``home`` holds the job store, the outputs and the local models."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(default_factory=default_home)
    device: str = "auto"
    precision: Precision = "auto"
    offline: bool = False

    @property
    def models_dir(self) -> Path:
        """Official folders, one per repository name (``Wan2.1-T2V-1.3B/...``)."""
        return self.home / "models"

    @property
    def outputs_dir(self) -> Path:
        return self.home / "outputs"

    @property
    def inputs_dir(self) -> Path:
        """Pictures and videos that requests name, see ``wan_core.media.inputs``."""
        return self.home / "inputs"

    @property
    def latents_dir(self) -> Path:
        return self.home / "latents"

    @property
    def previews_dir(self) -> Path:
        return self.home / "previews"

    @property
    def store_path(self) -> Path:
        return self.home / "jobs.sqlite3"

"""Where things live and what the machine may use; not part of any single video.

Fields with a ``SettingKnob`` are kept in the home's ``settings.json`` and shown in the Settings tab; the
others are of the command line alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wan_core.schema.attention import AttentionName
from wan_core.schema.compiling import CompileMode
from wan_core.schema.knob import Knob, knob_field

Precision = Literal["auto", "fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp8_scaled", "int8"]
TextEncoderPlace = Literal["auto", "gpu", "cpu", "int8"]
Profile = Literal["auto", "full", "model", "blocks", "sequential"]
Switch = Literal["auto", "on", "off"]

Effect = Literal["at once", "next job", "new worker"]
"""When a changed setting counts: now; from the next job on; for the next job, in a worker started for it."""


@dataclass(frozen=True)
class SettingKnob(Knob):
    """How a setting is shown, and when a change of it takes effect; a running job is never touched."""

    effect: Effect = "new worker"


def default_home() -> Path:
    """``$WAN_STUDIO_HOME``, else ``~/.wan-studio``."""
    return Path(os.environ.get("WAN_STUDIO_HOME") or Path.home() / ".wan-studio").expanduser()


CHECKPOINT_SUFFIX = ".steps.safetensors"
"""Of files beside finished latents: ``wan_core.pipelines.checkpoint``."""


class Settings(BaseModel):
    """Folders, device and memory. ``home`` holds the job store, the outputs and the local models."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    home: Path = Field(default_factory=default_home)
    device: str = "auto"
    offline: bool = False

    profile: Profile = knob_field(
        "auto",
        SettingKnob(
            "Memory profile",
            "How much of a model is on the GPU at a time: less leaves room for larger videos and "
            "is slower; the picture stays the same.",
        ),
    )
    vram_limit_gib: float | None = knob_field(
        None,
        SettingKnob(
            "VRAM limit",
            "The most GPU memory to use, in GiB; empty is all there is. Less is slower; the "
            "picture stays the same.",
            low=0.5,
            high=1024.0,
            step=0.5,
        ),
    )
    vram_buffer_gib: float = knob_field(
        0.0,
        SettingKnob(
            "VRAM buffer", "GPU memory to leave to other programs, in GiB.", low=0.0, high=64.0, step=0.5
        ),
    )
    precision: Precision = knob_field(
        "auto",
        SettingKnob(
            "Precision",
            "How the transformer's weights are kept: smaller takes less memory and changes fine detail.",
        ),
    )
    fp16_accumulation: Literal["off", "on"] = knob_field(
        "off",
        SettingKnob(
            "fp16 accumulation",
            "Sum in fp16 as well where precision is fp16: faster, and fine detail comes out "
            "rougher; NVIDIA only.",
        ),
    )
    text_encoder: TextEncoderPlace = knob_field(
        "auto",
        SettingKnob(
            "Text encoder",
            "Where the prompt is read, which changes the time; int8 halves the encoder's memory "
            "and changes small things in the picture.",
        ),
    )
    attention: AttentionName = knob_field(
        "auto",
        SettingKnob(
            "Attention",
            "What computes attention, most of the time of a long clip; Sage rounds, which changes fine "
            "detail. Radial and sliding tile leave out what is far apart, which changes the picture. The "
            "others hardly do.",
        ),
    )
    compile: CompileMode = knob_field(
        "off",
        SettingKnob(
            "Compile",
            "Translate the transformer's blocks: steps are faster, the first of a size far slower; for any "
            "size only the first of all, but steps gain less; tuned takes minutes to try what is fastest. "
            "The picture stays nearly the same. CUDA graphs translate nothing: they start the work of a step "
            "in one go, which helps where steps are short, and the picture stays the same.",
        ),
    )
    vae_tiling: Switch = knob_field(
        "auto",
        SettingKnob("Tiled decoding", "Decode in tiles: less memory, a little slower, the same picture."),
    )
    vae_tile: int = knob_field(
        256,
        SettingKnob(
            "Tile size",
            "Side of a tile in pixels: smaller takes less memory and more time; the picture stays the same.",
            low=64,
            high=1024,
            step=32,
        ),
    )
    model_folders: tuple[Path, ...] = knob_field(
        (), SettingKnob("Model folders", "Further folders to look for models and LoRAs in.")
    )
    idle_unload_minutes: float = knob_field(
        10.0,
        SettingKnob(
            "Unload when idle",
            "Minutes without a job after which the models leave the memory; 0 keeps them.",
            effect="at once",
            low=0.0,
            high=1440.0,
            step=1.0,
        ),
    )

    @property
    def models_dir(self) -> Path:
        """Official folders, one per repository name (``Wan2.1-T2V-1.3B/...``)."""
        return self.home / "models"

    @property
    def loras_dir(self) -> Path:
        return self.home / "loras"

    @property
    def upscalers_dir(self) -> Path:
        """Files of learnt upscalers, see ``wan_core.upscaling``."""
        return self.home / "upscalers"

    @property
    def outputs_dir(self) -> Path:
        return self.home / "outputs"

    @property
    def inputs_dir(self) -> Path:
        """Pictures and videos that requests name, see ``wan_core.media.inputs``."""
        return self.home / "inputs"

    @property
    def wildcards_dir(self) -> Path:
        """Texts that prompts draw a line from, see ``wan_core.prompts.wildcards``."""
        return self.home / "wildcards"

    @property
    def presets_dir(self) -> Path:
        """Presets and styles by name, see ``wan_core.prompts.presets``."""
        return self.home / "presets"

    @property
    def latents_dir(self) -> Path:
        return self.home / "latents"

    def checkpoint_path(self, job_id: str) -> Path:
        """How far a job has come that is not denoised yet."""
        return self.latents_dir / f"{Path(job_id).name}{CHECKPOINT_SUFFIX}"

    @property
    def measured_dir(self) -> Path:
        """What runs have measured of models, for step caches."""
        return self.home / "measured"

    @property
    def previews_dir(self) -> Path:
        return self.home / "previews"

    @property
    def logs_dir(self) -> Path:
        """What was written down while jobs ran that did not come to an end."""
        return self.home / "logs"

    @property
    def store_path(self) -> Path:
        return self.home / "jobs.sqlite3"


def setting_knobs() -> dict[str, SettingKnob]:
    """Name of each setting that is kept -> how it is shown, in the order of the tab."""
    extras = {name: info.json_schema_extra for name, info in Settings.model_fields.items()}
    return {name: extra["knob"] for name, extra in extras.items() if isinstance(extra, dict)}

"""The fields of a request that say how the finished frames become a file.

They change nothing of what the model makes: the same latents can be written in all these ways.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from wan_core.schema.file_name import is_file_name
from wan_core.schema.knob import Knob, knob_field

VideoFormat = Literal["mp4", "webm", "gif", "webp", "png", "png-folder"]
Codec = Literal["auto", "h264", "hevc", "vp9", "av1", "h264-nvenc", "hevc-nvenc", "av1-nvenc"]

NAME_FIELDS = (
    "date",
    "time",
    "job",
    "seed",
    "model",
    "task",
    "prompt",
    "width",
    "height",
    "frames",
    "fps",
    "steps",
)
"""What the template of a file name may hold in braces."""

DEFAULT_NAME = "{date}-{time}-{job}"

SUFFIXES: dict[str, str] = {
    "mp4": ".mp4",
    "webm": ".webm",
    "gif": ".gif",
    "webp": ".webp",
    "png": ".zip",
    "png-folder": "",
}
"""What the name of a video ends with in each format; frames in a folder have a folder's name."""

UPSCALER_SUFFIXES = (".safetensors", ".pth")

_BRACED = re.compile(r"\{([^{}]*)\}")


class OutputOptions(BaseModel):
    """Format, coding and name of the file, and what is done to the frames on their way to it."""

    model_config = ConfigDict(frozen=True)

    video_format: VideoFormat = knob_field(
        "mp4",
        Knob(
            "Video format",
            "MP4 plays everywhere; WebM is smaller; GIF has 256 colours; PNG keeps every pixel, in a ZIP or "
            "a folder.",
            "output",
        ),
    )
    codec: Codec = knob_field(
        "auto",
        Knob(
            "Codec",
            "Auto is H.264 in MP4 and VP9 in WebM. HEVC and AV1 are smaller, and not played by every "
            "browser; nvenc codes on the graphics card.",
            "output",
        ),
    )
    crf: int = knob_field(
        18,
        Knob(
            "Quality (CRF)",
            "Lower looks better and makes a larger file; 0 loses nothing of the coded colours. Each codec "
            "is set to look alike; GIF and PNG do without.",
            "output",
            low=0,
            high=40,
            step=1,
        ),
    )
    interpolate_fps: int = knob_field(
        0,
        Knob(
            "Interpolate to",
            "Frames per second to fill up to with in-between frames, drawn by ffmpeg from the motion: "
            "smoother, the same speed. Fast motion can smear. 0 adds none.",
            "output",
            low=0,
            high=120,
            step=1,
        ),
    )
    upscale: float = knob_field(
        1.0,
        Knob(
            "Enlarge",
            "Times the width and height: a larger picture, without new detail by Lanczos resampling, with "
            "drawn detail by an upscaler, which takes more time.",
            "output",
            low=1.0,
            high=4.0,
            step=0.5,
        ),
    )
    upscaler: str = knob_field(
        "",
        Knob(
            "Upscaler",
            "The file of a learnt upscaler in the upscalers folder, which draws the detail of a larger "
            "picture; Enlarge says how much larger. Empty is Lanczos resampling.",
            "output",
        ),
    )
    loop_count: int = knob_field(
        0,
        Knob(
            "Loop count",
            "How often a GIF or WebP plays; 0 is for ever.",
            "output",
            low=0,
            high=100,
            step=1,
        ),
    )
    ping_pong: bool = knob_field(
        False,
        Knob(
            "Ping-pong", "Play forward, then backward, so that a loop has no jump; without sound.", "output"
        ),
    )
    keep_audio: bool = knob_field(
        True,
        Knob(
            "Keep sound",
            "Take over the sound of the video that is changed or continued; MP4 and WebM only.",
            "output",
        ),
    )
    filename: str = knob_field(
        "",
        Knob(
            "File name",
            f"Words in braces are filled in: {', '.join(NAME_FIELDS)}. Empty is {DEFAULT_NAME}.",
            "output",
        ),
    )
    preview_every: int = knob_field(
        5,
        Knob(
            "Preview every",
            "Steps between the previews that are shown meanwhile; the video stays the same. 0 shows none.",
            "output",
            low=0,
            high=100,
            step=1,
        ),
    )
    embed_metadata: bool = knob_field(
        True,
        Knob(
            "Settings in the file",
            "Store these settings in the video, to reuse them later; the picture stays the same.",
            "output",
        ),
    )
    embed_inputs: bool = knob_field(
        False,
        Knob(
            "Inputs in the file",
            "Store the source pictures, too, so that the file alone is enough to make it again; who gets the "
            "file gets the pictures.",
            "output",
        ),
    )
    sidecar: bool = knob_field(
        False,
        Knob(
            "Settings beside the file",
            "Write the settings as a JSON file beside the video; the picture stays the same.",
            "output",
        ),
    )

    @field_validator("upscaler")
    @classmethod
    def _names_upscaler(cls, name: str) -> str:
        if name and not is_file_name(name, UPSCALER_SUFFIXES):
            raise ValueError(
                f"{name[:60]!r} is no name of an upscaler; give that of a .safetensors or .pth file in the "
                "upscalers folder"
            )
        return name

    @field_validator("filename")
    @classmethod
    def _known_fields(cls, template: str) -> str:
        if len(template) > 200:
            raise ValueError("is longer than 200 characters; shorten it")
        unknown = [name for name in _BRACED.findall(template) if name not in NAME_FIELDS]
        if unknown:
            raise ValueError(f"{{{unknown[0][:40]}}} is no field; use {', '.join(NAME_FIELDS)}")
        return template

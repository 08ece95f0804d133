"""The one description of a video to be made, shared by form, CLI, API, history and file metadata."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from wan_core.schema.errors import InvalidRequest
from wan_core.schema.guidance import GuidanceOptions
from wan_core.schema.inputs import MediaInputs, Steering
from wan_core.schema.knob import Group, Knob
from wan_core.schema.knob import knob_field as _knob
from wan_core.schema.lora import MAX_LORAS, LoraUse
from wan_core.schema.output import OutputOptions
from wan_core.schema.windows import WindowOptions

SchedulerName = Literal["unipc", "dpm++", "euler", "lcm", "res_multistep", "deis", "er_sde"]
ImageFormat = Literal["png", "jpeg", "webp"]
StepCacheName = Literal[
    "off",
    "conservative",
    "fast",
    "teacache",
    "teacache-retention",
    "easycache",
    "magcache",
    "first-block",
]

Task = Literal["t2v", "t2i", "i2v", "flf2v", "v2v", "control"]
"""What is made from what: a tab each, text to image sharing that of text to video."""


def _read_windows(given: object) -> object:
    """Windows may be given in words, see ``WindowOptions.read``."""
    return WindowOptions.read(given) if isinstance(given, str) else given


MAX_SEED = 2**32 - 1


class GenerationRequest(MediaInputs, Steering, GuidanceOptions, OutputOptions):
    """Everything that decides a video; plain JSON.

    ``None`` means "the model's own default"; ``wan_core.catalog.resolve`` fills it in.
    Bounds here hold for every model; ``wan_core.catalog.validate`` adds each model's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=100_000)

    task: Task = _knob(
        "t2v", Knob("Task", "What the video is made from: words alone, a picture, two pictures, or a video.")
    )
    model: str = _knob(
        "demo",
        Knob(
            "Model",
            "What draws the video: larger models show more detail, follow the prompt more closely "
            "and take longer.",
        ),
    )
    prompt: str = _knob("", Knob("Prompt", "What should be seen: subject, motion, place, light, style."))
    negative_prompt: str | None = _knob(
        None,
        Knob(
            "Negative prompt",
            "What the picture is led away from, such as blur or extra fingers; at guidance scale "
            "1 it is not read. Emptied, it names nothing.",
            "sampling",
        ),
    )
    width: int | None = _knob(
        None,
        Knob(
            "Width",
            "Picture width in pixels, a multiple of 16; far from the model's own sizes subjects "
            "double or fall apart.",
            low=16,
            high=4096,
            step=16,
        ),
    )
    height: int | None = _knob(
        None,
        Knob(
            "Height",
            "Picture height in pixels, a multiple of 16; far from the model's own sizes subjects "
            "double or fall apart.",
            low=16,
            high=4096,
            step=16,
        ),
    )
    num_frames: int | None = _knob(
        None,
        Knob(
            "Frames",
            "Length in frames, 4n+1 (81 frames at 16 fps are 5 s); beyond the model's own length "
            "motion begins to repeat.",
            low=1,
            high=1025,
            step=4,
        ),
    )
    windows: Annotated[WindowOptions | None, BeforeValidator(_read_windows)] = _knob(
        None,
        Knob(
            "Long video",
            "A clip longer than the model can see at once, in windows that flow into each other, or one that "
            "ends where it begins; in the memory of one window. More can be said: static frames=81 stride=4.",
        ),
    )
    num_inference_steps: int | None = _knob(
        None,
        Knob(
            "Steps",
            "Denoising steps: few leave soft and unsteady shapes, more are finer and slower; "
            "beyond the model's own number little changes.",
            "sampling",
            low=1,
            high=200,
            step=1,
        ),
    )
    guidance_scale: float | None = _knob(
        None,
        Knob(
            "Guidance scale",
            "How strictly the prompt is followed: low is softer and freer, high has hard contrast "
            "and burnt colours; 1 switches guidance off and halves the time.",
            "sampling",
            low=1.0,
            high=20.0,
            step=0.1,
        ),
    )
    shift: float | None = _knob(
        None,
        Knob(
            "Flow shift",
            "Where the steps are spent: higher settles motion and layout, lower spends more on detail.",
            "sampling",
            low=0.1,
            high=30.0,
            step=0.5,
        ),
    )
    scheduler: SchedulerName | None = _knob(
        None,
        Knob(
            "Sampler",
            "UniPC is the official one; LCM is for distilled weights. RES, DEIS and DPM++ are as exact and "
            "differ in detail; ER-SDE draws new noise on the way, for livelier texture.",
            "sampling",
        ),
    )
    seed: int = _knob(
        -1,
        Knob(
            "Seed",
            "The noise that the picture grows from: the same seed and settings give the same "
            "video, another seed another scene; -1 picks a new one.",
            low=-1,
            high=MAX_SEED,
            step=1,
        ),
    )
    loras: Annotated[tuple[LoraUse, ...], Field(max_length=MAX_LORAS)] = _knob(
        (), Knob("LoRA", "Files that change the model's style, subject or speed, with a strength.", "lora")
    )
    fps: int | None = _knob(
        None,
        Knob(
            "Frame rate",
            "Frames per second of the file: the same frames at more of them move faster and end sooner.",
            "sampling",
            1,
            60,
            1,
        ),
    )
    step_cache: StepCacheName = _knob(
        "off",
        Knob(
            "Step cache",
            "Steps that would change little are not computed but take over what an earlier one changed: the "
            "video is done sooner and differs a little, fast more than conservative.",
            "speed",
        ),
    )
    step_cache_threshold: float | None = _knob(
        None,
        Knob(
            "Step cache threshold",
            "How far a step may drift and still be skipped: higher is done sooner and loses more "
            "detail, 0 skips none; empty is what suits the method and the model.",
            "speed",
            low=0.0,
            high=2.0,
            step=0.005,
        ),
    )
    image_format: ImageFormat = _knob(
        "png",
        Knob(
            "Picture format",
            "PNG keeps every pixel; JPEG and WebP are smaller and lose a little.",
            "steering",
        ),
    )

    @field_validator("prompt", "negative_prompt", "model", "filename")
    @classmethod
    def _clean_text(cls, text: str | None) -> str | None:
        if text is not None and ("\0" in text or any(0xD800 <= ord(c) <= 0xDFFF for c in text)):
            raise ValueError("contains a NUL or an unpaired surrogate character; remove it")
        return text

    @classmethod
    def parse(cls, values: dict[str, Any]) -> GenerationRequest:
        """Build a request from untrusted values.

        Raises:
            InvalidRequest: naming the first field at fault, its value, and the remedy.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = str(first["loc"][0]) if first["loc"] else "request"
            raise InvalidRequest(
                field, f"{str(first['input'])[:80]!r} is refused", f"{first['msg']}."
            ) from error


def knobs() -> dict[str, Knob]:
    """Name of each request field -> how it is shown, group by group, in the order of the form."""
    shown = {
        name: info.json_schema_extra["knob"]  # type: ignore[index]
        for name, info in GenerationRequest.model_fields.items()
    }
    return dict(sorted(shown.items(), key=lambda item: get_args(Group).index(item[1].group)))

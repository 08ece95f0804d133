"""How a clip that is longer than its model can see at once is made: through windows that overlap."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

WindowSchedule = Literal["static", "uniform", "looped", "sliding"]
"""Windows at fixed places; at other places in every step; these on a ring, so that the end flows into the
start; and DiffSynth's, whose last window is a short one."""

Fusing = Literal["pyramid", "linear"]

LATENT_STRIDE = 4
"""Frames that a latent frame stands for; the first one stands for a single frame."""

_OVERLAP_SHARE = 3  # of a window is its overlap where nothing is said
_SWITCHES = {"on": True, "off": False}


class WindowOptions(BaseModel):
    """Windows over the latent frames of a clip; lengths are in frames of the clip.

    Attributes:
        schedule: where the windows lie.
        frames: length of a window, 4n+1; None is what the model was made for.
        overlap: how many frames a window shares with the one before, 4n; None is a third of a window.
        stride: of the uniform and looped schedules, 4n: the widest distance between neighbours in a window.
            At 4 these are neighbours in the clip, too. Beyond, some windows leave out frames and see more
            of the clip at once, with distances that double.
        fuse: how windows are mixed where they overlap: ``linear`` goes over from one to the next,
            ``pyramid`` trusts the middle of each most.
        freenoise: begin every window from the noise of the first one in another order, which keeps what is
            seen alike.
        anchor: let every window of a model that begins with a picture see it as its first frame, which keeps
            what is seen alike but goes back to the beginning; otherwise only the first window does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: WindowSchedule = "static"
    frames: int | None = Field(None, ge=5, le=1025)
    overlap: int | None = Field(None, ge=0, le=1020)
    stride: int = Field(LATENT_STRIDE, ge=LATENT_STRIDE, le=64)
    fuse: Fusing = "pyramid"
    freenoise: bool = True
    anchor: bool = False

    @field_validator("frames")
    @classmethod
    def _whole_window(cls, frames: int | None) -> int | None:
        if frames is not None and frames % LATENT_STRIDE != 1:
            low = max((frames - 1) // LATENT_STRIDE, 1) * LATENT_STRIDE + 1
            raise ValueError(f"a window of {frames} frames is not 4n+1; try {low} or {low + LATENT_STRIDE}")
        return frames

    @field_validator("overlap", "stride")
    @classmethod
    def _whole_latents(cls, frames: int | None) -> int | None:
        if frames is not None and frames % LATENT_STRIDE:
            low = frames // LATENT_STRIDE * LATENT_STRIDE
            raise ValueError(f"{frames} is not a multiple of 4; try {low} or {low + LATENT_STRIDE}")
        return frames

    @model_validator(mode="after")
    def _moves_on(self) -> WindowOptions:
        if None not in (self.frames, self.overlap) and self.overlap >= self.frames:
            raise ValueError(
                f"an overlap of {self.overlap} leaves nothing new to a window of {self.frames} frames; "
                f"try {max(self.frames // 2 // LATENT_STRIDE, 0) * LATENT_STRIDE}"
            )
        return self

    @property
    def loops(self) -> bool:
        return self.schedule == "looped"

    def settled(self, own_frames: int) -> WindowOptions:
        """With what is left open filled in for a model that is made for so many frames."""
        frames = self.frames or max(own_frames, LATENT_STRIDE + 1)
        size = latent_length(frames)
        overlap = LATENT_STRIDE * -(-size // _OVERLAP_SHARE) if self.overlap is None else self.overlap
        return self.model_copy(update={"frames": frames, "overlap": min(overlap, LATENT_STRIDE * (size - 1))})

    @property
    def latent_size(self) -> int:
        """Latent frames of a window of settled options."""
        return latent_length(self.frames)

    @property
    def latent_overlap(self) -> int:
        return self.overlap // LATENT_STRIDE

    @property
    def latent_stride(self) -> int:
        return self.stride // LATENT_STRIDE

    @classmethod
    def read(cls, text: str) -> WindowOptions | None:
        """Read a schedule and ``name=value`` in any order after it, such as ``static frames=81 overlap=16``.

        ``off`` and nothing are None.

        Raises:
            ValueError: a word is none of these.
        """
        words = text.replace(",", " ").lower().split()
        if words in ([], ["off"], ["none"]):
            return None
        known = get_args(WindowSchedule)
        if words[0] not in known:
            raise ValueError(f"{words[0][:40]!r} is no schedule of windows; write off, {', '.join(known)}")
        values: dict[str, object] = {"schedule": words[0]}
        for word in words[1:]:
            name, _, value = word.partition("=")
            if name == "schedule" or name not in cls.model_fields or not value:
                names = ", ".join(f"{field}=..." for field in cls.model_fields if field != "schedule")
                raise ValueError(f"{word[:40]!r} says nothing of windows; write {names}")
            values[name] = _SWITCHES.get(value, value)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = "".join(f"{part}: " for part in first["loc"])
            raise ValueError(f"{name}{first['msg'].removeprefix('Value error, ')}") from error

    def __str__(self) -> str:
        """What ``read`` makes this of: the schedule, and what is not as it would be without."""
        told = [self.schedule]
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if name != "schedule" and value != info.default:
                word = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
                told.append(f"{name}={word}")
        return " ".join(told)


def latent_length(frames: int) -> int:
    """Latent frames of a clip of 4n+1 frames."""
    return (frames - 1) // LATENT_STRIDE + 1

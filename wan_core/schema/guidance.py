"""The fields of a request that say how strongly, when and by which method each step is guided, and which
noise levels it goes through. Left as they are, none of them changes a bit of the result.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from wan_core.schema.knob import Knob, knob_field

Easing = Literal["linear", "ease-in", "ease-out"]
SkipMode = Literal["negative", "third"]

MOST_STEPS = 200
_GROUP = "guidance"

Level = Annotated[float, Field(gt=0.0, le=1.0)]
Scale = Annotated[float, Field(ge=0.0, le=20.0)]
BlockNumber = Annotated[int, Field(ge=0, le=99)]


def _part(default: float, label: str, help: str) -> float:
    """A field that says a part of the steps, from 0 to 1."""
    return knob_field(default, Knob(label, help, _GROUP, 0.0, 1.0, 0.05))


class GuidanceOptions(BaseModel):
    """Noise levels, the course of the guidance scale, and methods that better guided results."""

    model_config = ConfigDict(frozen=True)

    sigmas: Annotated[tuple[Level, ...] | None, Field(max_length=MOST_STEPS)] = knob_field(
        None,
        Knob(
            "Noise levels",
            "One for each step, falling, at most 1, such as 1, 0.9375, 0.8333, 0.625; they replace steps "
            "and shift. Weights made for few steps look right at their own levels only.",
            _GROUP,
        ),
    )
    start_step: int = knob_field(
        0,
        Knob(
            "First steps left out",
            "With a video: begin so many steps later, closer to what is given; what is left out is not "
            "changed.",
            _GROUP,
            0,
            MOST_STEPS - 1,
            1,
        ),
    )
    end_step: int | None = knob_field(
        None,
        Knob(
            "Last step",
            "End after this step and show what is expected by then: a softer picture of a long run, sooner.",
            _GROUP,
            1,
            MOST_STEPS,
            1,
        ),
    )
    guidance_scales: Annotated[tuple[Scale, ...], Field(max_length=MOST_STEPS)] = knob_field(
        (),
        Knob(
            "Guidance of each step",
            "A guidance scale for every step, such as 6, 6, 4, 2; the last goes on. High at first settles "
            "what is seen, low at the end keeps colours and skin natural.",
            _GROUP,
        ),
    )
    guidance_scale_end: float | None = knob_field(
        None,
        Knob(
            "Guidance at the end",
            "The guidance scale goes from its value to this one during the run: lower lessens burnt colours.",
            _GROUP,
            1.0,
            20.0,
            0.1,
        ),
    )
    guidance_easing: Easing = knob_field(
        "linear",
        Knob("Course to that", "Evenly, late (ease in) or early (ease out) in the run.", _GROUP),
    )
    guidance_start: float = _part(
        0.0,
        "Guidance from",
        "Part of the steps that run without guidance first; each takes half the time. Later frees the "
        "layout.",
    )
    guidance_end: float = _part(
        1.0,
        "Guidance to",
        "Part of the steps after which guidance ends; each that follows takes half the time. Sooner softens "
        "detail.",
    )
    cfg_zero: bool = knob_field(
        False,
        Knob(
            "CFG-Zero*",
            "Fit the negative pass to the prompt's before they are compared: steadier colours and cleaner "
            "motion at high guidance.",
            _GROUP,
        ),
    )
    zero_init_steps: int = knob_field(
        0,
        Knob(
            "Steps held still",
            "So many first steps change nothing and cost nothing, as CFG-Zero* does with 1: it avoids the "
            "least certain guess. Too many leave noise behind.",
            _GROUP,
            0,
            20,
            1,
        ),
    )
    skip_blocks: Annotated[tuple[BlockNumber, ...], Field(max_length=40)] = knob_field(
        (),
        Knob(
            "Skipped layers",
            "Numbers of blocks, such as 9, 10, left out of a pass that the result is led away from: firmer "
            "shapes and hands, more consistent motion.",
            _GROUP,
        ),
    )
    skip_mode: SkipMode = knob_field(
        "negative",
        Knob(
            "Layers are skipped in",
            "The negative pass costs nothing and needs guidance above 1; a third pass works without it, "
            "too, and adds the time of a pass.",
            _GROUP,
        ),
    )
    skip_scale: float = knob_field(
        2.5,
        Knob(
            "Weight of the third pass",
            "How far the result is led away from the pass with skipped layers.",
            _GROUP,
            0.0,
            10.0,
            0.1,
        ),
    )
    skip_start: float = _part(0.1, "Layers skipped from", "Part of the steps after which layers are skipped.")
    skip_end: float = _part(
        1.0, "Layers skipped to", "Part of the steps after which none are skipped any more."
    )
    nag_scale: float = knob_field(
        1.0,
        Knob(
            "NAG",
            "Normalised attention guidance: what the negative prompt names fades, also at guidance scale 1, "
            "where it is not read otherwise. 1 is off, 11 is usual.",
            _GROUP,
            1.0,
            30.0,
            0.5,
        ),
    )
    nag_tau: float = knob_field(
        2.5,
        Knob("NAG limit", "How far NAG may raise attention: lower is tamer.", _GROUP, 1.0, 10.0, 0.1),
    )
    nag_alpha: float = knob_field(
        0.25,
        Knob("NAG share", "How much of its result is mixed in.", _GROUP, 0.0, 1.0, 0.05),
    )
    enhance_video: float = knob_field(
        0.0,
        Knob(
            "Enhance-A-Video",
            "Lets frames attend more to each other: steadier detail and less flicker, less motion when "
            "high. 0 is off, 2 is usual.",
            _GROUP,
            0.0,
            20.0,
            0.5,
        ),
    )
    enhance_start: float = _part(0.0, "Enhanced from", "Part of the steps after which frames are enhanced.")
    enhance_end: float = _part(1.0, "Enhanced to", "Part of the steps after which they are not any more.")
    fresca_low: float = knob_field(
        1.0,
        Knob(
            "FreSca: coarse",
            "Guidance of large shapes and colours, as a multiple: below 1 lets the layout be freer.",
            _GROUP,
            0.0,
            3.0,
            0.05,
        ),
    )
    fresca_high: float = knob_field(
        1.0,
        Knob(
            "FreSca: fine",
            "Guidance of edges and texture, as a multiple: 1.25 is crisper.",
            _GROUP,
            0.0,
            3.0,
            0.05,
        ),
    )
    fresca_cutoff: float = _part(
        0.5, "FreSca: border", "What counts as coarse, as a part of the finest detail that there is room for."
    )
    riflex: int = knob_field(
        0,
        Knob(
            "RIFLEx",
            "For clips longer than the model was made for: stretches the wave of this number so that motion "
            "does not start over. 0 is off, 6 is usual; short clips stay as they are.",
            _GROUP,
            0,
            32,
            1,
        ),
    )

    @field_validator("sigmas", mode="before")
    @classmethod
    def _without_end(cls, levels: object) -> object:
        """What ends with 0, as others write it, means the same without."""
        if not isinstance(levels, list | tuple):
            return levels
        ends = len(levels) > 1 and str(levels[-1]).strip() in ("0", "0.0")
        return (tuple(levels[:-1]) if ends else tuple(levels)) or None

    @classmethod
    def of(cls, request: GuidanceOptions) -> GuidanceOptions:
        """Of a request these fields alone."""
        return cls.model_construct(**{name: getattr(request, name) for name in cls.model_fields})

    @property
    def third_pass(self) -> bool:
        """Whether skipped layers take a pass of their own."""
        return bool(self.skip_blocks) and self.skip_mode == "third" and self.skip_scale > 0

    @property
    def reads_negative(self) -> bool:
        """Whether the negative prompt is read besides in the negative pass."""
        return self.nag_scale > 1 and self.nag_alpha > 0

    def guides(self, scale: float) -> bool:
        """Whether any step may have a guidance scale other than 1, for one of the request."""
        scales = self.guidance_scales or (scale, self.guidance_scale_end or scale)
        return any(one != 1 for one in scales)

    def scale_at(self, step: int, total: int, scale: float) -> float:
        """The guidance scale of a step, counted from 0; 1 is none.

        Args:
            step, total: the step and how many there are.
            scale: ``guidance_scale`` of the request.
        """
        if not self.guidance_start <= step / total < self.guidance_end:
            return 1.0
        if self.guidance_scales:
            return self.guidance_scales[min(step, len(self.guidance_scales) - 1)]
        if self.guidance_scale_end is None:
            return scale
        guided = [i for i in range(total) if self.guidance_start <= i / total < self.guidance_end]
        part = (step - guided[0]) / max(len(guided) - 1, 1)
        eased = {"linear": part, "ease-in": part**2, "ease-out": part * (2 - part)}[self.guidance_easing]
        return scale + (self.guidance_scale_end - scale) * eased

    def passes_at(self, step: int, total: int, scale: float) -> int:
        """How many passes a step takes, as for ``scale_at``."""
        if step < self.zero_init_steps:
            return 0
        weak = self.third_pass and within((self.skip_start, self.skip_end), step, total)
        return 1 + (self.scale_at(step, total, scale) != 1) + weak

    def mean_passes(self, total: int, scale: float) -> float:
        """How many passes a step takes on average."""
        return sum(self.passes_at(step, total, scale) for step in range(total)) / total

    def steps_taken(self, total: int) -> int:
        """How many of the steps of a schedule are taken, at least 1."""
        return max(min(self.end_step or total, total) - self.start_step, 1)


def within(part: tuple[float, float], step: int, total: int) -> bool:
    """Whether a step, counted from 0, begins within [from, to) of the run."""
    begin, end = part
    return begin <= step / total < end

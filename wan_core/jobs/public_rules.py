"""What strangers may ask of a studio that is open to everybody: the one place that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wan_core.catalog import ModelSpec, find_model
from wan_core.schema import GenerationRequest, InvalidRequest


class TooMany(InvalidRequest):
    """Nothing is wrong with the request but that there are too many."""


@dataclass(frozen=True)
class PublicRules:
    """The largest job, and the most jobs.

    Attributes:
        has: whether all of a model is on this machine; nothing is downloaded for a stranger.
        pixels: of a frame, before it is enlarged.
        frames, steps: of a job.
        shown_pixels: of a frame of the file.
        fps: of the file, with in-between frames.
        characters: of a prompt.
        waiting: jobs of one visitor that wait, beside the one that may run.
        all_waiting: jobs of everybody that wait.
        a_minute: jobs that one visitor may begin in a minute.
    """

    has: Callable[[ModelSpec], bool]
    pixels: int = 832 * 480
    frames: int = 81
    steps: int = 50
    shown_pixels: int = 1664 * 960
    fps: int = 60
    characters: int = 4000
    waiting: int = 3
    all_waiting: int = 64
    a_minute: int = 6

    def check(self, request: GenerationRequest) -> None:
        """Whether a resolved request is small enough.

        Raises:
            InvalidRequest: naming the field.
        """
        model, pixels = request.model, (request.width or 0) * (request.height or 0)
        if not self.has(find_model(model)):
            raise InvalidRequest("model", f"{model} is not on this machine", "Choose another one.")
        shown = int(pixels * request.upscale**2)
        texts = {name: getattr(request, name) or "" for name in ("prompt", "negative_prompt")}
        for name, value, most, unit in (
            ("num_frames", request.num_frames or 0, self.frames, "frames"),
            ("num_inference_steps", request.num_inference_steps or 0, self.steps, "steps"),
            ("interpolate_fps", request.interpolate_fps, self.fps, "frames a second"),
            ("width", pixels, self.pixels, "pixels a frame"),
            ("upscale", shown, self.shown_pixels, "pixels a frame"),
            *((name, len(text), self.characters, "characters") for name, text in texts.items()),
        ):
            if value > most:
                problem = f"{value} {unit} are more than a public page makes"
                raise InvalidRequest(name, problem, f"Use at most {most}.")

    def admit(self, own: int, everybody: int, lately: int) -> None:
        """Whether one more job may wait.

        Args:
            own: jobs of the visitor that wait or run.
            everybody: jobs that wait.
            lately: jobs that the visitor began within the last minute.

        Raises:
            TooMany: saying what to wait for.
        """
        if own > self.waiting:
            raise TooMany("queue", f"{own} jobs of yours wait or run", "Wait until one of them is done.")
        if everybody >= self.all_waiting:
            raise TooMany("queue", f"{everybody} jobs wait already", "Come back in a while.")
        if lately >= self.a_minute:
            raise TooMany("queue", f"you began {lately} jobs within a minute", "Wait a minute.")

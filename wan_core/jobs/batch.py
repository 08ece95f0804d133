"""One form, many videos: of several prompts, several pictures and several seeds."""

from __future__ import annotations

from collections.abc import Sequence

from wan_core.catalog import validate
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.inputs import InputName

MAX_BATCH = 200


def prompt_lines(text: str | None) -> list[str]:
    """The prompts of a text with one in each line; empty lines are left out."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def expand(
    request: GenerationRequest,
    prompts: Sequence[str] = (),
    images: Sequence[InputName] = (),
    videos: int = 1,
) -> list[GenerationRequest]:
    """Every prompt with every picture, each ``videos`` times; without prompts or pictures, the request's own.

    A fixed seed counts up among the videos of one prompt and picture and begins anew with the next, so that
    these can be compared; seed -1 stays, and is drawn for each.

    Raises:
        InvalidRequest: the model cannot do one of them, the seeds end, or there are more than ``MAX_BATCH``.
    """
    wanted = len(prompts or (request.prompt,)) * len(images or (request.image,)) * videos
    if not 1 <= wanted <= MAX_BATCH:
        raise InvalidRequest(
            "videos",
            f"{wanted} videos were asked for at once",
            f"Ask for 1 to {MAX_BATCH}; more can be added while these run.",
        )
    requests = []
    for prompt in prompts or (request.prompt,):
        for image in images or (request.image,):
            for number in range(videos):
                seed = request.seed if request.seed == -1 else request.seed + number
                changes = {"prompt": prompt, "image": image, "seed": seed}
                if image != request.image and request.crops:  # drawn on another picture
                    changes["crops"] = request.crops.without("image")
                requests.append(GenerationRequest.parse({**request.model_dump(), **changes}))
                validate(requests[-1])
    return requests

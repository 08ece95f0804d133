"""One form, many videos."""

import pytest

from tests.jobs.conftest import request
from wan_core.jobs.batch import MAX_BATCH, expand, prompt_lines
from wan_core.schema import GenerationRequest, InvalidRequest

IMAGES = ["1" * 32 + ".png", "2" * 32 + ".png"]


def test_lines_are_prompts() -> None:
    assert prompt_lines(" a fox \n\n\t\nan owl\r\n") == ["a fox", "an owl"]
    assert prompt_lines("  \n") == []


def test_a_request_alone_is_itself() -> None:
    assert expand(request("a", seed=5)) == [request("a", seed=5)]


def test_every_prompt_goes_with_every_picture_and_the_seeds_of_each_are_the_same() -> None:
    base = GenerationRequest(model="demo-image", task="i2v", prompt="x", image=IMAGES[0], seed=5)
    made = expand(base, prompts=["a", "b"], images=IMAGES, videos=2)
    assert [(each.prompt, each.image, each.seed) for each in made] == [
        (prompt, image, seed) for prompt in "ab" for image in IMAGES for seed in (5, 6)
    ]
    assert {each.model_copy(update={"prompt": "x", "image": IMAGES[0], "seed": 5}) for each in made} == {base}


def test_the_part_of_a_picture_is_not_that_of_another() -> None:
    base = GenerationRequest(
        model="demo-image",
        task="flf2v",
        prompt="x",
        image=IMAGES[0],
        last_image=IMAGES[0],
        crops="image=0,0,0.5,1 last_image=0,0,1,0.5",
    )
    own, other = expand(base, images=IMAGES)
    assert own == base
    assert (other.image, str(other.crops)) == (IMAGES[1], "last_image=0,0,1,0.5")
    base = base.model_copy(update={"crops": base.crops.without("last_image")})
    assert [each.crops for each in expand(base, images=IMAGES)] == [base.crops, None]


def test_a_drawn_seed_stays_to_be_drawn() -> None:
    assert [each.seed for each in expand(request(), videos=3)] == [-1, -1, -1]


@pytest.mark.parametrize(
    ("fields", "asked", "words"),
    [
        ({}, {"prompts": ["a", " "]}, "prompt"),
        ({}, {"images": IMAGES}, "image"),
        ({"seed": 2**32 - 1}, {"videos": 2}, "seed"),
        ({}, {"prompts": ["a"] * MAX_BATCH, "videos": 2}, "400 videos"),
        ({}, {"videos": 0}, "0 videos"),
    ],
)
def test_what_cannot_be_made_is_refused_as_a_whole(fields: dict, asked: dict, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        expand(request(**fields), **asked)

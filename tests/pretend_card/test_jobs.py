"""Whole jobs on a pretended card: as the CPU makes them, within the planned memory, waiting once a step."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from tests.pretend_card.card import pretended
from wan_core.engine import Engine, ignore
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.settings import Precision, Profile


def asked(model: str = "tiny", **values: object) -> GenerationRequest:
    return GenerationRequest(model=model, prompt="a red circle", seed=1, **values)


def on_card(settings: Settings, **chosen: object) -> Engine:
    return Engine(settings.model_copy(update={"device": "cuda", **chosen}))


def bytes_of(engine: Engine, request: GenerationRequest) -> bytes:
    return engine.generate(request, ignore).video.read_bytes()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_makes_the_file_that_a_cpu_makes(settings: Settings, profile: Profile) -> None:
    expected = bytes_of(Engine(settings), asked())
    with pretended() as card:
        assert bytes_of(on_card(settings, profile=profile), asked()) == expected
        assert card.memory.peak > 0


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("precision", get_args(Precision))
def test_every_precision_runs_whole_and_streamed(settings: Settings, precision: Precision) -> None:
    with pretended():
        whole = bytes_of(on_card(settings, precision=precision, profile="full"), asked())
        assert bytes_of(on_card(settings, precision=precision, profile="sequential"), asked()) == whole


@pytest.mark.usefixtures("tiny")
def test_a_job_waits_for_the_card_once_a_step(settings: Settings) -> None:
    def waits(steps: int) -> Counter[tuple[str, str]]:
        card.waits.clear()
        engine.generate(asked(num_inference_steps=steps), ignore)
        return Counter(card.waits)

    with pretended() as card:
        engine = on_card(settings)
        waits(2)  # loads
        assert waits(7) - waits(4) == {("look", "denoise.py: _check"): 3}


@pytest.mark.usefixtures("tiny")
def test_what_the_card_held_is_given_back(settings: Settings) -> None:
    with pretended() as card:
        engine = on_card(settings)
        engine.generate(asked(), ignore)
        assert card.memory.held > 0
        engine.manager.unload()
        assert card.memory.held == 0

"""CUDA graphs: replays make what the CPU makes, and what cannot be recorded runs as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from tests.models.dit_kinds import KINDS, sample
from tests.models.randomise import randomise
from tests.pretend_card.card import pretended
from tests.pretend_card.tensors import State
from wan_core.acceleration.graphs import GraphedPasses
from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.engine import Engine, ignore
from wan_core.manager.movers import CudaMover
from wan_core.manager.residency import Residency
from wan_core.models.dit.conditioning import UNCONDITIONED, DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.ops.graphs import graphs_unsupported
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.latents import load_latents
from wan_core.pipelines.preparing import prepared
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schedulers import make_scheduler
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.compiling import graphs_impossible

STEPS = 5
CARD = torch.device("cuda", 0)


@contextmanager
def placed(dit: WanDiT) -> Iterator[State]:
    """On a card for the length of the block."""
    with pretended() as card:
        residency = Residency(dit, CudaMover(CARD))
        residency.place()
        try:
            yield card
        finally:
            residency.withdraw()


def denoised(dit: WanDiT, cache: StepCache, merges: bool) -> Tensor:
    latents, prompt, conditioning = sample(dit.config)
    scheduler = make_scheduler("unipc", STEPS, 3.0, torch.Generator().manual_seed(1))
    sampling = Sampling(scheduler, Guidance(3.0), cache=cache, merges=merges)
    prompts = PromptEmbeds(prompt, prompt[:, :3].clone())
    with prepared(dit):
        given = Conditioning(dit=conditioning)
        return denoise(dit, latents, prompts, given, sampling, lambda *_: None).cpu()


@pytest.mark.parametrize("merges", [False, True], ids=["one by one", "at once"])
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_every_kind_of_model_computes_the_same_from_graphs(config: DiTConfig, merges: bool) -> None:
    dit, graphed = randomise(WanDiT(config)).eval(), GraphedPasses()
    with torch.inference_mode(), placed(dit) as card:
        expected = denoised(dit, StepCache(), merges)
        assert card.replays == 0
        assert torch.equal(denoised(dit, graphed, merges), expected)
        assert card.replays == (STEPS - 1) * (1 if merges else 2), "the first step is to warm up"
        assert graphed.report == ()


def test_the_trial_runs_on_a_card_and_is_refused_elsewhere() -> None:
    assert graphs_impossible("cpu") == graphs_unsupported(torch.device("cpu")) != graphs_impossible("rocm")
    with pretended() as card:
        assert graphs_unsupported(CARD) is None
        assert card.replays == 2


def job(settings: Settings, chosen: dict[str, object], **values: object) -> tuple[Tensor, tuple[str, ...]]:
    """Latents, and what was said."""
    engine = Engine(settings.model_copy(update={"device": "cuda", **chosen}))
    request = GenerationRequest(
        model="tiny", prompt="a red circle", seed=1, **{"num_inference_steps": 4, **values}
    )
    name = "-".join(map(str, chosen.values())) or "plain"
    said = engine.generate(request, ignore, name).warnings
    return load_latents(engine.latents_path(name))[0], said


GRAPHS = {"compile": "graphs"}
TRIAL = 2


@pytest.mark.usefixtures("tiny")
def test_a_job_replays_every_step_but_the_first(settings: Settings) -> None:
    with pretended() as card:
        expected, _ = job(settings, {})
        found, said = job(settings, GRAPHS)
        assert torch.equal(found, expected)
        assert said == () and card.replays == TRIAL + 3


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("chosen", "values", "reason"),
    [
        ({"profile": "sequential"}, {}, "LoRAs are worn, or blocks come and go."),
        ({}, {"end_step": 1}, "no pass came twice."),
        ({}, {"step_cache": "teacache", "num_inference_steps": 15}, "a step cache is on."),
    ],
    ids=["streamed", "one step", "step cache"],
)
def test_where_nothing_is_recorded_that_is_said(
    settings: Settings, chosen: dict[str, object], values: dict[str, object], reason: str
) -> None:
    with pretended() as card:
        expected, _ = job(settings, chosen, **values)
        found, said = job(settings, GRAPHS | chosen, **values)
        assert torch.equal(found, expected)
        assert f"No CUDA graph was used: {reason}" in said and card.replays == TRIAL


@pytest.mark.usefixtures("tiny")
def test_windows_that_differ_in_nothing_else_share_a_graph(settings: Settings) -> None:
    windows = {"windows": {"frames": 9, "overlap": 4}, "num_frames": 17}
    with pretended() as card:
        expected, _ = job(settings, {}, **windows)
        found, said = job(settings, GRAPHS, **windows)
        assert torch.equal(found, expected)
        assert said == () and card.replays > TRIAL + 4, "more than one in a step"


def test_what_waits_for_the_card_is_not_recorded_and_runs_as_it_is() -> None:
    dit = randomise(WanDiT(KINDS["t2v"])).eval()
    run_blocks, graphed = dit.run_blocks, GraphedPasses()

    def waiting(tokens: Tensor, *rest: object) -> Tensor:
        assert tokens.sum().item() == tokens.sum().item()
        return run_blocks(tokens, *rest)

    with torch.inference_mode(), placed(dit) as card:
        expected = denoised(dit, StepCache(), False)
        dit.run_blocks = waiting
        assert torch.equal(denoised(dit, graphed, False), expected)
        assert card.replays == 0
        assert graphed.report[0].startswith("No CUDA graph was used: recording failed: CUDA error")


def test_after_a_change_of_weights_it_is_recorded_anew() -> None:
    dit, graphed = randomise(WanDiT(KINDS["t2v"])).eval(), GraphedPasses()
    latents, prompt, _ = sample(dit.config)
    with torch.inference_mode(), placed(dit) as card:
        call = Pass(latents.to(CARD), torch.tensor([500.0], device=CARD), prompt.to(CARD))
        before = [graphed.velocity(dit, call).cpu() for _ in range(3)]
        assert card.replays == 2 and torch.equal(before[0], before[2])
        dit.head.head.bias.add_(1.0)
        graphed.renew()
        after = [graphed.velocity(dit, call).cpu() for _ in range(3)]
        assert card.replays == 4 and torch.equal(after[0], after[2])
        assert not torch.equal(after[0], before[0])


def test_a_pass_is_not_taken_for_one_whose_tensors_are_gone() -> None:
    dit, graphed = randomise(WanDiT(KINDS["vace"])).eval(), GraphedPasses()
    latents, prompt, conditioning = sample(dit.config)
    with torch.inference_mode(), placed(dit) as card:

        def velocity(given: DiTConditioning) -> Tensor:
            timestep = torch.tensor([500.0], device=CARD)
            return graphed.velocity(dit, Pass(latents.to(CARD), timestep, prompt, given)).cpu()

        prompt = prompt.to(CARD)
        given = {name: value for name, value in vars(conditioning).items() if isinstance(value, Tensor)}
        steered = velocity(DiTConditioning(**{name: value.to(CARD) for name, value in given.items()}))
        plain = velocity(UNCONDITIONED)
        assert card.replays == 0, "the other's context is gone, and this one has none"
        assert torch.equal(velocity(UNCONDITIONED), plain) and not torch.equal(plain, steered)
        assert card.replays == 1

"""Passes in one batch say what they say one after the other, and compute no more than they must."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from tests.lora.making import noise
from tests.models.dit_kinds import KINDS, T2V, sample
from tests.models.randomise import randomise
from wan_core.acceleration.step_cache import Pass
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.passes import PassRunner
from wan_core.pipelines.preparing import prepared

TIMESTEP = torch.tensor([700.0])


def passes(config: DiTConfig, lengths: tuple[int, ...] = (7, 2, 5), bare: bool = False) -> list[Pass]:
    """Of the same latents with prompts of different lengths; the last one may see something else."""
    latents, _, seen = sample(config)
    prompts = [noise(1, length, config.text_dim, seed=length) for length in lengths]
    calls = [
        Pass(latents, TIMESTEP, prompt, seen, (branch,))
        for prompt, branch in zip(prompts, ("prompt", "null", "bare"), strict=False)
    ]
    if bare:
        last = calls[-1]
        calls[-1] = Pass(latents, TIMESTEP, last.prompt_embeds, DiTConditioning(), last.branches)
    return calls


@pytest.mark.parametrize("is_prepared", [False, True], ids=["plain", "prepared"])
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_every_kind_says_the_same_in_every_step(config: DiTConfig, is_prepared: bool) -> None:
    dit = randomise(WanDiT(config)).eval()
    calls = passes(config)
    expected = [dit(*call.inputs()) for call in calls]
    runner = PassRunner(dit, merges=True)
    if is_prepared:
        with prepared(dit):
            found = [runner.velocities(calls) for _ in range(2)][-1]
    else:
        found = runner.velocities(calls)
    for velocity, right in zip(found, expected, strict=True):
        torch.testing.assert_close(velocity, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [(512, 2), (511, 512), (1, 510)])
@torch.inference_mode()
def test_prompts_of_any_length_go_together(lengths: tuple[int, int]) -> None:
    dit = randomise(WanDiT(T2V)).eval()
    calls = passes(T2V, lengths)
    for found, call in zip(PassRunner(dit, merges=True).velocities(calls), calls, strict=True):
        torch.testing.assert_close(found, dit(*call.inputs()), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_the_first_self_attention_is_shared_and_each_layer_runs_once() -> None:
    dit = randomise(WanDiT(T2V)).eval()
    rows: Counter[str] = Counter()
    for name, module in dit.named_modules():
        if name.endswith((".q", ".ffn.0", "head.head")) or name == "patch_embedding":
            module.register_forward_hook(lambda _, __, made, n=name: rows.update({n: made.shape[0]}))
    PassRunner(dit, merges=True).velocities(passes(T2V))
    shared = {"patch_embedding", "blocks.0.self_attn.q", "blocks.0.cross_attn.q"}
    assert {name for name, count in rows.items() if count == 1} == shared
    assert {count for name, count in rows.items() if name not in shared} == {3}


@torch.inference_mode()
def test_a_prompt_is_read_once_in_a_run() -> None:
    dit = randomise(WanDiT(T2V)).eval()
    read: list[int] = []
    dit.text_embedding[0].register_forward_hook(lambda *_: read.append(1))
    runner, calls = PassRunner(dit, merges=True), passes(T2V)
    with prepared(dit):
        for _ in range(3):
            runner.velocities(calls)
    assert len(read) == 1


@torch.inference_mode()
def test_what_sees_something_else_runs_alone() -> None:
    dit = randomise(WanDiT(T2V)).eval()
    batches: list[int] = []
    dit.head.register_forward_hook(lambda _, __, made: batches.append(made.shape[0]))
    calls = passes(T2V, bare=True)
    found = PassRunner(dit, merges=True).velocities(calls)
    assert batches == [2, 1]
    for velocity, call in zip(found, calls, strict=True):
        torch.testing.assert_close(velocity, dit(*call.inputs()), rtol=1e-5, atol=1e-5)


class Small(nn.Module):
    """Has room for one prompt at a time."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self.problem, self.batches = problem, []

    def forward(self, latents: Tensor, timestep: Tensor, prompts: Tensor, seen: DiTConditioning) -> Tensor:
        self.batches.append(len(prompts))
        if len(prompts) > 1:
            raise self.problem
        return latents + prompts.mean()


def test_where_memory_runs_out_the_run_goes_on_one_after_the_other() -> None:
    model, calls = Small(torch.OutOfMemoryError()), passes(T2V)
    runner = PassRunner(model, merges=True)
    for _ in range(2):
        found = runner.velocities(calls)
    assert model.batches == [3, 1, 1, 1, 1, 1, 1]
    for velocity, call in zip(found, calls, strict=True):
        assert torch.equal(velocity, call.latents + call.prompt_embeds.mean())


def test_other_errors_stay_errors() -> None:
    with pytest.raises(RuntimeError, match="cable"):
        PassRunner(Small(RuntimeError("a cable is loose")), merges=True).velocities(passes(T2V))

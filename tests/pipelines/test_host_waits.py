"""The host waits for the device once a step, to look for NaN, and nowhere else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.dit_kinds import KINDS, sample
from tests.models.randomise import randomise
from wan_core.acceleration.step_cache import StepCache
from wan_core.acceleration.table import CACHES, Run
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.preparing import prepared
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.schedulers import SCHEDULERS, make_scheduler

_LOOKS = {"_local_scalar_dense": "look", "is_nonzero": "look", "nonzero": "look", "masked_select": "look"}
_COUNTED = {**_LOOKS, "lift_fresh": "send"}
"""Operations by which the host learns a number of the device, or sends it one of Python's."""


class Waits(TorchDispatchMode):
    """Counts what a host waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _COUNTED:
            self.counts[_COUNTED[name]] += 1
        return func(*args, **(kwargs or {}))


def waits(
    config: DiTConfig, steps: int, scheduler: str = "unipc", cache: str = "", merges: bool = True
) -> Counter[str]:
    dit = randomise(WanDiT(config)).eval()
    latents, prompt, conditioning = sample(config)
    made = make_scheduler(scheduler, steps, 3.0, torch.Generator().manual_seed(1))
    kept = CACHES[cache].make(0.1, Run(tuple(made.sigmas))) if cache else StepCache()
    sampling = Sampling(made, Guidance(3.0), cache=kept, merges=merges)
    prompts = PromptEmbeds(prompt, prompt[:, :3].clone())
    with prepared(dit), Waits() as seen:
        denoise(dit, latents, prompts, Conditioning(dit=conditioning), sampling, lambda *_: None)
    return seen.counts


def each_step(config: DiTConfig, **asked: Any) -> dict[str, float]:
    """What every further step adds."""
    few, many = waits(config, 6, **asked), waits(config, 10, **asked)
    return {name: (many[name] - few[name]) / 4 for name in many if many[name] != few[name]}


@pytest.mark.parametrize("merges", [False, True], ids=["one by one", "at once"])
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_a_step_of_any_kind_of_model_waits_once(config: DiTConfig, merges: bool) -> None:
    assert each_step(config, merges=merges) == {"look": 1}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_step_of_any_sampler_waits_once(scheduler: str) -> None:
    assert each_step(KINDS["t2v"], scheduler=scheduler) == {"look": 1}


@pytest.mark.parametrize("cache", CACHES)
def test_a_cache_waits_for_what_it_decides_by_and_for_nothing_else(cache: str) -> None:
    found = each_step(KINDS["vace"], cache=cache)
    assert 1 <= found.pop("look") <= 2 and not found


@torch.inference_mode()
def test_decoding_waits_for_nothing() -> None:
    vae = randomise(WanVAE(VAEConfig(dim=8))).eval()

    def seen(frames: int) -> Counter[str]:
        with Waits() as counted:
            for _ in vae.decode_stream(torch.randn(1, 16, frames, 4, 4)):
                pass
        return counted.counts

    few, many = seen(2), seen(5)
    assert few == many and not few["look"]

"""The training loop: accelerate, AdamW, an averaged copy, and checkpoints that resume exactly.

Data and noise are functions of the step number alone, so a resumed run sees what an unbroken run would
have seen; optimizer, averaged weights and the global RNG come from the checkpoint.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

log = logging.getLogger(__name__)

_STATES = ("state", "state.new", "state.old")  # where a checkpoint may be, the likeliest first
_PLACE = "step.json"  # written last: a checkpoint that has it is whole


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    ``learning_rate`` rises over ``warmup`` steps after every start and falls to 2 % from ``decay_from`` of
    ``steps`` on.

    ``precision`` is accelerate's: "no" (fp32), "bf16" or "fp16". ``minutes`` ends a run early, after a
    checkpoint; 0 means no limit.
    """

    folder: Path
    steps: int
    learning_rate: float
    warmup: int = 200
    decay_from: float = 0.75
    ema_decay: float = 0.998
    weight_decay: float = 0.01
    precision: str = "bf16"
    save_every: int = 250
    log_every: int = 25
    minutes: float = 0.0

    def rate(self, step: int, started: int) -> float:
        """Learning rate at ``step`` when the optimizer started at step ``started``."""
        rise = min(1.0, (step - started + 1) / self.warmup)
        start = self.decay_from * self.steps
        fall = max(0.0, (step - start) / max(1.0, self.steps - start))
        return self.learning_rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, fall))))


class TrainingLoop:
    """Minimises ``loss_at(model, step)``; ``model`` is any module whose call returns a scalar loss."""

    def __init__(self, model: nn.Module, config: LoopConfig) -> None:
        self.config = config
        self.accelerator = Accelerator(mixed_precision=config.precision)
        self.averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
        self.averaged.requires_grad_(False)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.995), weight_decay=config.weight_decay
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.averaged.to(self.accelerator.device)
        self.accelerator.register_for_checkpointing(self.averaged)
        self.step = 0
        self.started = 0  # the step at which the optimizer began with nothing

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint in the folder, if there is one."""
        for name in _STATES:
            state = self.config.folder / name
            if not (state / _PLACE).exists():
                continue
            self.accelerator.load_state(str(state))
            place = json.loads((state / _PLACE).read_text())
            self.step, self.started = place["step"], place["started"]
            log.info("resumed at step %d", self.step)
            return True
        return False

    @torch.no_grad()
    def restart(self) -> None:
        """Go on from the averaged weights with a fresh optimizer, for data of another kind.

        Weights that had no gradient until now would otherwise leap: the old optimizer's averages hold
        nothing for them.
        """
        model = self.accelerator.unwrap_model(self.model)
        for live, mean in zip(model.parameters(), self.averaged.module.parameters(), strict=True):
            live.copy_(mean)
        self.optimizer.state.clear()
        self.started = self.step

    def save(self) -> None:
        """Write a checkpoint beside the last one and then replace it, so that one is always whole."""
        current, fresh, old = (self.config.folder / name for name in _STATES)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        self.accelerator.save_state(str(fresh))
        (fresh / _PLACE).write_text(json.dumps({"step": self.step, "started": self.started}))
        if current.exists():
            current.rename(old)
        fresh.rename(current)
        shutil.rmtree(old, ignore_errors=True)

    def run(self, loss_at: Callable[[nn.Module, int], Tensor], until: int | None = None) -> None:
        """Train to step ``until`` or the last, or until the time is up; ends with a checkpoint."""
        started, recent = time.monotonic(), []
        while self.step < (until or self.config.steps):
            recent.append(self._advance(loss_at))
            if self.step % self.config.log_every == 0:
                pace = (time.monotonic() - started) / 60
                log.info("step %d  loss %.5f  %.1f min", self.step, sum(recent) / len(recent), pace)
                recent.clear()
            if self.step % self.config.save_every == 0:
                self.save()
            if self.config.minutes and time.monotonic() - started > self.config.minutes * 60:
                break
        self.save()

    def _advance(self, loss_at: Callable[[nn.Module, int], Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step, self.started)
        loss = loss_at(self.model, self.step)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.averaged.update_parameters(self.accelerator.unwrap_model(self.model))
        self.step += 1
        return loss.item()

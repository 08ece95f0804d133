"""The LoRAs of a job: opened and checked before anything is computed, worn while the transformer is lent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wan_core.catalog import ModelSpec, Role
from wan_core.lora.fitting import Fit, LoraReport, fit
from wan_core.lora.merging import Merge
from wan_core.lora.wearing import Worn, wearing
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.components import ComponentSource
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.schema import Emit, GenerationRequest


@dataclass(frozen=True)
class Dressing:
    """LoRAs that fit a model, for one job.

    Attributes:
        worn: those that go beside the layers.
        merge: those that go into the weights, if any.
        unmerged: whether some are worn that were to be merged.
        nbytes: what all of them take beside the weights.
        reports: how much of each fits, in the order of the request.
    """

    worn: tuple[Fit, ...] = ()
    merge: Merge | None = None
    unmerged: bool = False
    nbytes: int = 0
    reports: tuple[LoraReport, ...] = ()

    @property
    def in_dim(self) -> int | None:
        """The input channels that a Control-LoRA asks for, else None."""
        fits = (*self.worn, *(self.merge.fits if self.merge else ()))
        return max((one.in_dim for one in fits if one.in_dim), default=None)

    def steer(self, conditioning: Conditioning, noise: Tensor) -> Conditioning:
        """What the model reads with a Control-LoRA on it: beside the noise, the video that is given.

        Without a video these are zeros, with which such a LoRA has nothing to follow.
        """
        if self.in_dim is None:
            return conditioning
        channels = torch.zeros_like(noise) if conditioning.start is None else conditioning.start
        steered = {
            name: dataclasses.replace(given, channel_latents=channels)
            for name in ("dit", "null", "bare", "idle")
            if (given := getattr(conditioning, name)) is not None
        }
        return dataclasses.replace(conditioning, **steered, followed_channels=channels.shape[1])

    def notes(self, request: GenerationRequest) -> tuple[str, ...]:
        """Sentences on how much of each LoRA is used."""
        notes = tuple(report.sentence for report in self.reports)
        if self.unmerged:
            notes += ("LoRAs were not merged, as there is no RAM for changed weights; they were put beside.",)
        if self.in_dim is not None and request.task != "v2v":
            notes += ("A Control-LoRA follows a video and has none here; use it with video to video.",)
        return notes

    @contextmanager
    def lend(
        self, source: ComponentSource, spec: ModelSpec, emit: Emit, working: int
    ) -> Iterator[tuple[nn.Module, Worn]]:
        """Borrow the transformer for the length of a block, with the LoRAs on it."""
        merged = {"merge": self.merge} if self.merge else {}
        with source.use(spec, Role.TRANSFORMER, emit, working + self.nbytes, **merged) as transformer:
            left = self.merge.left(transformer) if self.merge else []
            with wearing(transformer, [*self.worn, *left]) as worn:
                yield transformer, worn


def choose_loras(source: ComponentSource, spec: ModelSpec, request: GenerationRequest) -> Dressing:
    """Open the LoRAs of a request and find their places in its model.

    Raises:
        InvalidRequest: a file is not there.
        WeightsError: a file is damaged, or nothing of it fits the model.
    """
    if not request.loras:
        return Dressing()
    with torch.device("meta"):
        model = WanDiT(spec.dit)
    files = [source.lora(use) for use in request.loras]
    fits = [fit(file, model) for file in files]
    room = source.can_merge(spec)
    opened = list(zip(fits, files, strict=True))
    merged = [(one, file.identity) for one, file in opened if file.use.merge and room]
    worn = [(one, file) for one, file in opened if not (file.use.merge and room)]
    return Dressing(
        worn=tuple(one for one, _ in worn),
        merge=Merge(tuple(one for one, _ in merged), tuple(name for _, name in merged)) if merged else None,
        unmerged=any(file.use.merge for _, file in worn),
        nbytes=sum(file.nbytes for _, file in worn),
        reports=tuple(one.report for one in fits),
    )

"""What the stages need from whoever holds the weights. They borrow parts and never own them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import nn

from wan_core.catalog import ModelSpec, Role, WeightFiles
from wan_core.lora.fitting import Lora
from wan_core.lora.merging import Merge
from wan_core.schema import Emit
from wan_core.schema.lora import LoraUse


@dataclass(frozen=True)
class VaeWay:
    """How the VAE is run; all ways give the same numbers.

    Attributes:
        tile: side in pixels of the tiles that it works in; None is the whole picture.
        on_cpu: whether it decodes on the CPU, whatever the device.
    """

    tile: int | None = None
    on_cpu: bool = False


class ComponentSource(Protocol):
    """Lends the parts of a model; ``wan_core.manager.ModelManager`` is the real one."""

    def use(
        self,
        spec: ModelSpec,
        role: Role,
        emit: Emit,
        working: int = 0,
        *,
        on_cpu: bool = False,
        merge: Merge | None = None,
    ) -> AbstractContextManager[nn.Module]:
        """Lend a part, loaded and on the device where it is to run, for the length of a block.

        ``working`` is the bytes that the block needs there beside the part's weights. ``on_cpu``: it is to
        run on the CPU, whatever the device. ``merge``: LoRAs that are to be in its weights.
        """

    def lora(self, use: LoraUse) -> Lora:
        """A LoRA that a request names, opened."""

    def can_merge(self, spec: ModelSpec) -> bool:
        """Whether there is room for changed weights of the model's transformer."""

    def folder(self, spec: ModelSpec, part: Role | Literal["tokenizer"], emit: Emit) -> Path:
        """The folder that the part's files are relative to, downloaded if need be."""

    def helper(self, files: WeightFiles, emit: Emit) -> Path:
        """The folder of a small model of ``wan_core.catalog.helpers``, downloaded if need be."""

    def preview_decoder(self) -> nn.Module | None:
        """What makes pictures of latents for previews, on its device; None if there is no file of it."""

    def dtype(self, role: Role) -> torch.dtype | None:
        """The precision that a part is lent in; None is the precision of its file."""


def device_of(module: nn.Module) -> torch.device:
    """Where a lent part runs: the device of its weights."""
    return next(module.parameters()).device

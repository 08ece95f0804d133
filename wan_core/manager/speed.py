"""What makes the transformer faster where the device can do it: attention kernels, and compiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch

from wan_core.catalog import Role
from wan_core.manager.attention_choice import timed_attention
from wan_core.manager.device_kinds import KINDS
from wan_core.manager.devices import choose_dtypes, device_facts
from wan_core.ops.attention import use_attention
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.compiling import compiling_impossible, compiling_unsupported
from wan_core.ops.graphs import graphs_unsupported
from wan_core.ops.kernels import KERNELS
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.attention import ATTENTION_TITLES, AttentionName, fastest
from wan_core.schema.compiling import CompileMode
from wan_core.schema.settings import Profile


@dataclass(frozen=True)
class Speed:
    """How a process runs transformers.

    Attributes:
        compiles: how blocks are compiled.
        notes: what was asked for and cannot be done, in sentences.
    """

    compiles: CompileMode = "off"
    notes: tuple[str, ...] = ()

    def notes_on(self, request: GenerationRequest, level: Profile) -> tuple[str, ...]:
        """What a request that runs at this level of memory has to be told."""
        if self.compiles in ("off", "graphs"):  # graphs say for themselves why there was none
            return self.notes
        if any(not use.merge for use in request.loras):
            return (*self.notes, "Nothing was compiled, as LoRAs are worn; merged ones would allow it.")
        if level in ("blocks", "sequential"):
            return (
                *self.notes,
                "Blocks that come and go are not compiled; a smaller precision may keep them.",
            )
        return self.notes


def set_speed(settings: Settings, device: torch.device) -> Speed:
    """Do as the settings say, process-wide; what fails its trial on the device is left at the default."""
    notes = []
    refusal = attention_refusal(settings.attention, settings, device)
    chosen = settings.attention
    if chosen == "auto":
        chosen = fastest(timed_attention(settings, device))
    use_attention("auto" if refusal else chosen)
    if refusal:
        title = ATTENTION_TITLES[settings.attention]
        notes.append(f"{title} was not used: {refusal} Torch chose the attention instead.")
    if failed := _compiling_failed(settings.compile, device):
        notes.append(failed)
    return Speed("off" if failed else settings.compile, tuple(notes))


def _compiling_failed(mode: CompileMode, device: torch.device) -> str | None:
    if mode == "off":
        return None
    if mode == "graphs":
        failed, instead = graphs_unsupported(device), "None was used."
    else:
        failed, instead = compiling_unsupported(device), "Nothing was compiled."
    return failed and f"{failed} {instead}"


def attention_refusal(name: AttentionName, settings: Settings, device: torch.device) -> str | None:
    """One sentence on why a kernel cannot be used with these settings; None where a trial came out right.

    Sparse ones are tried once they are chosen.
    """
    facts = device_facts(device)
    if name == "auto":
        return None
    if name not in KINDS[facts.kind].attention:
        return f"Not made for {KINDS[facts.kind].title}."
    if KERNELS[name].pattern:
        impossible = compiling_impossible(device)
        if impossible or name != settings.attention:  # its trial compiles, which takes a while
            return impossible
    dtype = choose_dtypes(facts, settings.precision)[Role.TRANSFORMER]
    return attention_unsupported(name, device, dtype)


def attention_refusals(settings: Settings, device: torch.device) -> dict[str, str]:
    """Kernel -> why it cannot be used; those that can be are left out."""
    found = {name: attention_refusal(name, settings, device) for name in get_args(AttentionName)}
    return {name: reason for name, reason in found.items() if reason}

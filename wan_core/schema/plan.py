"""Where the parts of a model go for one request, and what that will take; what Settings shows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Placement = Literal["resident", "on_demand", "streamed", "cpu"]
"""``resident``: stays on the device. ``on_demand``: there while its stage runs, in RAM else.
``streamed``: some blocks come and go, each just before and after it runs. ``cpu``: runs on the CPU."""

GIB = 2**30

_SAYS: dict[Placement, str] = {
    "resident": "stays on the device",
    "on_demand": "on the device while it is used",
    "streamed": "streamed",
    "cpu": "on the CPU",
}


class StagePeak(BaseModel):
    """What one stage holds on the device at its peak, in bytes.

    Attributes:
        name: a phrase, such as "denoise".
        weights: of the stage's own part, the slots of streamed blocks included.
        working: activations and workspaces.
        others: weights of other parts that stay there meanwhile.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    weights: int
    working: int
    others: int = 0

    @property
    def bytes(self) -> int:
        return self.weights + self.working + self.others


class MemoryPlan(BaseModel):
    """How a model runs within a budget. Roles are those of ``wan_core.catalog.Role``, as strings.

    Attributes:
        placements: role -> where its weights go.
        precision: role -> how its weights are kept, such as "bf16" or "fp8_scaled".
        streamed_blocks: blocks of the transformer that are not kept on the device; 0 unless streamed.
        blocks: blocks of the transformer in all.
        in_pieces: whether a streamed block comes in pieces, which takes less room and more copies.
        vae_tile: side in pixels of the tiles that the VAE works in; None is the whole picture.
        vae_device: "cpu", or the kind of device that it shares with the transformer.
        stages: what each stage holds, in the order in which they run.
        peak_vram: predicted peak on the device, in bytes.
        peak_ram: predicted peak in the machine's memory, in bytes.
        moved_bytes_per_step: weights copied to the device in one denoising step.
        moved_seconds_per_step: how long that takes, most of it hidden behind the computing.
        fits: whether the prediction stays within the budget; if not, the job may run out of memory.
        from_disk: whether the transformer stays in its mapped file, as a copy does not fit into RAM.
        passes_at_once: whether the passes with and without the prompt run as one batch.
        reason: a sentence that says why it is so.
    """

    model_config = ConfigDict(frozen=True)

    placements: dict[str, Placement]
    precision: dict[str, str]
    streamed_blocks: int = 0
    blocks: int = 0
    in_pieces: bool = False
    vae_tile: int | None = None
    vae_device: str = "cuda"
    stages: tuple[StagePeak, ...] = ()
    peak_vram: int = 0
    peak_ram: int = 0
    moved_bytes_per_step: int = 0
    moved_seconds_per_step: float = 0.0
    fits: bool = True
    from_disk: bool = False
    passes_at_once: bool = False
    reason: str = ""

    def explain(self) -> str:
        """Several lines: why, where each part goes, what each stage takes."""
        lines = [self.reason]
        for role, placement in self.placements.items():
            says = _SAYS[placement]
            if role == "transformer":
                if placement == "streamed":
                    says = f"{self.streamed_blocks} of {self.blocks} blocks streamed"
                says += " in pieces" * self.in_pieces + " from the file" * self.from_disk
            lines.append(f"{role.replace('_', ' ')}: {self.precision[role]}, {says}")
        for stage in self.stages:
            lines.append(f"{stage.name}: {stage.bytes / GIB:.1f} GiB")
        if self.passes_at_once:
            lines.append("with and without the prompt in one pass")
        if self.vae_tile:
            lines.append(f"VAE in tiles of {self.vae_tile} pixels")
        lines.append(
            f"peak {self.peak_vram / GIB:.1f} GiB on the device, {self.peak_ram / GIB:.1f} GiB of RAM"
        )
        if self.moved_bytes_per_step:
            lines.append(
                f"{self.moved_bytes_per_step / GIB:.1f} GiB are copied in each step, "
                f"about {self.moved_seconds_per_step:.1f} s"
            )
        return "\n".join(lines)

"""Decides how a model runs within the memory at hand. Pure, and without torch: the web process shows it.

A plan keeps what fits and moves only what must move. In this order, the first that fits is taken: all parts
stay on the device; parts take turns there; blocks of the transformer come and go, as many as need be and
spread evenly, so that each copy has the computing of its neighbours to hide behind; pieces of blocks do.
Precision is never lowered by itself: what is exact stays exact, and what is faster is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wan_core.catalog import ModelSpec, Role
from wan_core.manager.device_kinds import KINDS, PLAIN_BYTES, part_precision
from wan_core.manager.plan_words import Sizes, say
from wan_core.manager.plan_work import MIB, Clip, Stage, stages
from wan_core.manager.weight_bytes import Numbers, PartNumbers, part_numbers
from wan_core.models.vae.config import halved_tiles
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.plan import GIB, MemoryPlan, Placement, StagePeak
from wan_core.schema.schemes import SCHEMES, DeviceFacts

SLOTS = 2
"""Blocks that streaming holds on the device: the one that runs and the next."""

MOST_TOKENS_AT_ONCE = 8192
"""Of a pass that may share a batch with another: larger ones gain 1 % by it, and take memory for it."""

PROGRAM_BYTES = GIB
"""RAM of the worker without any weights: 0.9 GiB, measured (docs/performance.md)."""

_PINNED_SHARE = 0.5  # of the free RAM; the system cannot move or swap what is pinned
_DISK_RATE = 2e9  # bytes in a second that a mapped file is read with
_ORDER = (
    Role.TEXT_ENCODER,
    Role.IMAGE_ENCODER,
    Role.MOTION_CONTROLLER,
    Role.TRANSFORMER,
    Role.VAE,
)
"""In which parts are used."""

_KEEPING_ORDER = (
    Role.TRANSFORMER,
    Role.VAE,
    Role.MOTION_CONTROLLER,
    Role.IMAGE_ENCODER,
    Role.TEXT_ENCODER,
)


@dataclass(frozen=True)
class Budget:
    """What a machine has for a job, in bytes.

    Attributes:
        facts: which device it is.
        vram_total: memory of the device; of a CPU 0.
        vram_free: of it what other programs leave; what this one holds counts as free.
        ram_free: of the machine's memory what other programs leave; mapped files count as free.
        disk_free: where latents and videos are written.
    """

    facts: DeviceFacts
    vram_total: int
    vram_free: int
    ram_free: int
    disk_free: int


@dataclass(frozen=True)
class _Part:
    """A part of the model in its precision, and where it goes.

    ``streamed`` are the blocks that come and go, by their number; ``in_pieces`` halves what one copy is.
    """

    role: Role
    numbers: PartNumbers
    scheme: str
    plain: str
    placement: Placement = "on_demand"
    streamed: tuple[int, ...] = ()
    in_pieces: bool = False

    def count(self, numbers: Numbers) -> int:
        return numbers.nbytes(self.scheme, self.plain)

    @property
    def block_bytes(self) -> list[int]:
        return [sum(map(self.count, block)) for block in self.numbers.blocks]

    @property
    def bytes(self) -> int:
        return self.count(self.numbers.outside) + sum(self.block_bytes)

    @property
    def moved(self) -> int:
        """Bytes that come and go in one pass."""
        sizes = self.block_bytes
        return sum(sizes[number] for number in self.streamed)

    @property
    def on_device(self) -> int:
        """Bytes that it takes on the device while it is used there."""
        if self.placement == "cpu":
            return 0
        return self.bytes - self.moved + SLOTS * self.unit

    @property
    def unit(self) -> int:
        """Bytes of the largest copy; 0 where nothing is streamed."""
        streamed = [self.numbers.blocks[number] for number in self.streamed]
        if self.in_pieces:
            return max(self.count(piece) for block in streamed for piece in block)
        return max((sum(map(self.count, block)) for block in streamed), default=0)


def spread(count: int, blocks: int) -> tuple[int, ...]:
    """``count`` of ``blocks`` numbers from 0, as evenly as can be."""
    return tuple((2 * i + 1) * blocks // (2 * count) for i in range(count))


def usable_bytes(budget: Budget, settings: Settings) -> int:
    """What may be allocated on the device: what is free up to the limit, less the buffer and what gets lost.

    An allocator loses some memory between its pieces: 128 MiB and 1/32 are set aside.
    """
    free = budget.vram_free
    if settings.vram_limit_gib is not None:
        free = min(free, int(settings.vram_limit_gib * GIB))
    free -= int(settings.vram_buffer_gib * GIB)
    return max(free - free // 32 - 128 * MIB, 0)


def pinnable_bytes(budget: Budget) -> int:
    """How much RAM may be pinned for the blocks that come and go."""
    return int(max(budget.ram_free - PROGRAM_BYTES, 0) * _PINNED_SHARE)


def plan_memory(
    spec: ModelSpec, request: GenerationRequest, budget: Budget, settings: Settings
) -> MemoryPlan:
    """How ``request`` runs with the model of ``spec`` within ``budget``; what is left open is the default.

    The passes of a step are made at once where a pass alone does not fill a device, if nothing has to move
    for it that would not move anyhow.

    Never raises: where nothing fits, the plan is the smallest there is and ``fits`` is False.
    """
    clip = Clip.of(spec, request)
    alone = _Planner(spec, clip, budget, settings).plan()
    if clip.passes == 1 or spec.dit.tokens(*clip.seen, clip.appended) > MOST_TOKENS_AT_ONCE:
        return alone
    at_once = _Planner(spec, replace(clip, at_once=2), budget, settings).plan()
    return at_once if at_once.fits and _moves_no_more(at_once, alone) else alone


def _moves_no_more(plan: MemoryPlan, other: MemoryPlan) -> bool:
    ways = [
        (one.placements, one.in_pieces, one.vae_tile, one.vae_device, one.from_disk) for one in (plan, other)
    ]
    return ways[0] == ways[1] and plan.moved_bytes_per_step <= other.moved_bytes_per_step


class _Planner:
    """One question, with what follows from it."""

    def __init__(self, spec: ModelSpec, clip: Clip, budget: Budget, settings: Settings) -> None:
        self.spec, self.clip, self.budget, self.settings = spec, clip, budget, settings
        self.kind = KINDS[budget.facts.kind]
        self.usable = usable_bytes(budget, settings)

    def plan(self) -> MemoryPlan:
        parts = {role: self._part(role) for role in _ORDER if role in self.spec.weights}
        if self.budget.facts.kind == "cpu":
            parts = {role: replace(part, placement="cpu") for role, part in parts.items()}
            tile = self._tile_in_ram(parts)
            return self._result(parts, self._stages(parts, tile), tile, "cpu")
        tile, vae_device = self._vae(parts)
        if vae_device == "cpu":
            parts[Role.VAE] = replace(parts[Role.VAE], placement="cpu")
        found = self._stages(parts, tile)
        for role, place in ((Role.TRANSFORMER, self._transformer), (Role.TEXT_ENCODER, self._text_encoder)):
            parts[role] = place(parts[role], _work(found, role))
        if self.settings.profile in ("auto", "full"):
            for role in _KEEPING_ORDER:
                parts = self._kept(parts, role, found)
        return self._result(parts, found, tile, vae_device)

    def _part(self, role: Role) -> _Part:
        plain = part_precision(self.budget.facts, self.settings.precision, role) or "bf16"
        scheme: str = plain
        if role is Role.TRANSFORMER and self.settings.precision != "auto":
            scheme = self.settings.precision
        elif role is Role.TEXT_ENCODER and self.settings.text_encoder == "int8":
            scheme = "int8"
        kept = SCHEMES.get(self.spec.weights[role].scheme)
        asked_plain = role is Role.TRANSFORMER and self.settings.precision in PLAIN_BYTES
        if kept and not kept.plain and not asked_plain:
            scheme = kept.id  # what the file holds quantised is never quantised again
        return _Part(role, part_numbers(self.spec, role), scheme, plain)

    def _stages(self, parts: Mapping[Role, _Part], tile: int | None) -> tuple[Stage, ...]:
        transformer = parts[Role.TRANSFORMER]
        return stages(self.spec, self.clip, transformer.scheme, transformer.plain, tile)

    def _vae(self, parts: Mapping[Role, _Part]) -> tuple[int | None, str]:
        """Side of the tiles and device of the VAE: whole pictures if they fit, else tiles, else the CPU."""
        kind = self.budget.facts.kind
        for side in self._tiles():
            if parts[Role.VAE].bytes + _work(self._stages(parts, side), Role.VAE) <= self.usable:
                return side, kind
        return (None, kind) if self.settings.vae_tiling == "off" else (self._tile_in_ram(parts), "cpu")

    def _tiles(self) -> list[int | None]:
        """Sides of tiles in the order in which they are tried; None is the whole picture."""
        tiled = halved_tiles(self.settings.vae_tile)
        return {"auto": [None, *tiled], "on": tiled, "off": [None]}[self.settings.vae_tiling]

    def _tile_in_ram(self, parts: Mapping[Role, _Part]) -> int | None:
        """The same for a VAE that runs on the CPU: a system without RAM left ends the worker."""
        room, tiles = self.budget.ram_free - PROGRAM_BYTES - parts[Role.VAE].bytes, self._tiles()
        fitting = (side for side in tiles if _work(self._stages(parts, side), Role.VAE) <= room)
        return next(fitting, tiles[-1])

    def _transformer(self, part: _Part, working: int) -> _Part:
        """Whole if the profile says so or if it fits, else as few blocks streamed as will do."""
        profile = self.settings.profile
        fits_whole = part.bytes + working <= self.usable
        if not self.kind.streams or profile in ("full", "model") or (fits_whole and profile != "sequential"):
            return part
        return self._streamed(part, working, in_pieces_only=profile == "sequential")

    def _streamed(self, part: _Part, working: int, in_pieces_only: bool = False) -> _Part:
        blocks = len(part.numbers.blocks)
        if not in_pieces_only:
            for count in range(SLOTS + 1, blocks + 1):
                tried = replace(part, placement="streamed", streamed=spread(count, blocks))
                if tried.on_device + working <= self.usable:
                    return tried
        return replace(part, placement="streamed", streamed=tuple(range(blocks)), in_pieces=True)

    def _text_encoder(self, part: _Part, working: int) -> _Part:
        if self.settings.text_encoder == "cpu":
            return replace(part, placement="cpu")
        if part.bytes + working <= self.usable:
            return part
        if self.kind.streams:  # all blocks: it runs once for a prompt, so none is worth keeping
            streamed = replace(part, placement="streamed", streamed=tuple(range(len(part.numbers.blocks))))
            if streamed.on_device + working <= self.usable:
                return streamed
        return part if self.settings.text_encoder == "gpu" else replace(part, placement="cpu")

    def _kept(self, parts: dict[Role, _Part], role: Role, found: Sequence[Stage]) -> dict[Role, _Part]:
        """The same with a part staying on the device, if every stage has the room or the person says so."""
        if role not in parts or parts[role].placement != "on_demand":
            return parts
        kept = {**parts, role: replace(parts[role], placement="resident")}
        peak = max(stage.bytes for stage in _peaks(kept, found))
        return kept if peak <= self.usable or self.settings.profile == "full" else parts

    def _result(
        self, parts: dict[Role, _Part], found: tuple[Stage, ...], tile: int | None, vae_device: str
    ) -> MemoryPlan:
        peaks = _peaks(parts, found)
        peak = max(stage.bytes for stage in peaks)
        transformer = parts[Role.TRANSFORMER]
        ram, from_disk = self._ram(parts, found)
        moved = transformer.moved * (self.clip.passes - self.clip.at_once + 1)
        frames, height, width = self.clip.grid
        latents = 4 * self.spec.vae.z_dim * frames * height * width
        needed = {
            "vram": (peak, self.usable),
            "ram": (ram, self.budget.ram_free),
            "disk": (latents, self.budget.disk_free),
        }
        lacking = {name: pair for name, pair in needed.items() if pair[0] > pair[1]}
        plan = MemoryPlan(
            placements={str(role): part.placement for role, part in parts.items()},
            precision={str(role): part.scheme for role, part in parts.items()},
            streamed_blocks=len(transformer.streamed),
            blocks=len(transformer.numbers.blocks),
            in_pieces=transformer.in_pieces,
            vae_tile=tile,
            vae_device=vae_device,
            stages=peaks,
            peak_vram=peak,
            peak_ram=ram,
            moved_bytes_per_step=moved,
            moved_seconds_per_step=moved / (_DISK_RATE if from_disk else self.kind.copy_rate),
            fits=not lacking,
            from_disk=from_disk,
            passes_at_once=self.clip.at_once > 1,
        )
        sizes = Sizes(transformer.bytes, _work(found, Role.TRANSFORMER), self.usable)
        return plan.model_copy(update={"reason": say(plan, self.spec.title, self.clip, sizes, lacking)})

    def _ram(self, parts: Mapping[Role, _Part], found: Sequence[Stage]) -> tuple[int, bool]:
        """The machine's memory that the job takes, and whether the transformer stays in its mapped file.

        What is kept as it is in the file is mapped, and the system may drop it; what is cast or quantised
        is a copy, and what is streamed is pinned as far as it may be. Where copies do not fit side by side,
        the manager drops idle parts, so the largest counts. What runs on the CPU works in RAM.
        """
        free = max(self.budget.ram_free - PROGRAM_BYTES, 0)
        if not self.kind.own_memory:
            sizes = [part.bytes for part in parts.values()]
            work = max(stage.working for stage in found)
            return PROGRAM_BYTES + work + _together(sizes, free - work), False
        copies = {role: 0 if self._is_mapped(part) else part.bytes for role, part in parts.items()}
        transformer = parts[Role.TRANSFORMER]
        mapped = copies[Role.TRANSFORMER] == 0
        if mapped and transformer.streamed:
            copies[Role.TRANSFORMER] = transformer.moved
        work = max((stage.working for stage in found if parts[stage.role].placement == "cpu"), default=0)
        limit = pinnable_bytes(self.budget) if mapped else free
        can_stay = mapped or SCHEMES[transformer.scheme].plain  # what is to be packed is packed in RAM
        from_disk = copies[Role.TRANSFORMER] > limit and can_stay
        if from_disk:
            copies[Role.TRANSFORMER] = SLOTS * transformer.unit
        return PROGRAM_BYTES + work + _together(list(copies.values()), free - work), from_disk

    def _is_mapped(self, part: _Part) -> bool:
        """Whether the files hold the part in its precision: they say so, or by their size with headers."""
        files = self.spec.weights[part.role]
        if files.scheme == part.scheme and not SCHEMES[part.scheme].plain:
            return True
        size = files.size
        return SCHEMES[part.scheme].plain and 0 <= size - part.bytes <= size // 50


def _together(sizes: Sequence[int], free: int) -> int:
    """All side by side where that fits, else the largest."""
    return sum(sizes) if sum(sizes) <= free else max(sizes)


def _work(found: Sequence[Stage], role: Role) -> int:
    return max((stage.working for stage in found if stage.role is role), default=0)


def _peaks(parts: dict[Role, _Part], found: Sequence[Stage]) -> tuple[StagePeak, ...]:
    """What each stage holds on the device: its part, its work, and the other parts that stay."""
    resident = {role: part.on_device for role, part in parts.items() if part.placement == "resident"}
    peaks = []
    for stage in found:
        part = parts[stage.role]
        on_cpu = part.placement == "cpu"
        peaks.append(
            StagePeak(
                name=stage.name,
                weights=part.on_device,
                working=0 if on_cpu else stage.working,
                others=sum(size for role, size in resident.items() if role is not stage.role),
            )
        )
    return tuple(peaks)

"""Which parts of a model the tensors of a LoRA file belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from wan_core.lora.adapters import Adapter, Shift
from wan_core.lora.card import UNSCALED, Scaling
from wan_core.lora.decode import Kinds, Misfit, ScaleOf, decode
from wan_core.lora.families import foreign_family
from wan_core.lora.sorting import LONE, WIDENED, SortedParts, widened_shape
from wan_core.schema import WeightsError
from wan_core.schema.lora import BlockFilter, LoraUse


@dataclass(frozen=True)
class Lora:
    """An opened LoRA file, and how it is to be used.

    ``identity`` tells the file's content from another's of the same name.
    """

    use: LoraUse
    tensors: Mapping[str, Tensor]
    scaling: Scaling = UNSCALED
    identity: str = ""

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class LoraReport:
    """How much of a file fits a model; counted in parts of the model, not in tensors.

    Attributes:
        file: its name.
        dialect: the format of its names.
        matched: parts that are changed, those that the block filter leaves alone included.
        unmatched: name of a part that is not used -> why.
        touched: parts that the block filter lets it change.
    """

    file: str
    dialect: str
    matched: int
    unmatched: Mapping[str, str]
    touched: int

    @property
    def sentence(self) -> str:
        """One sentence for a person."""
        total = self.matched + len(self.unmatched)
        words = f"{self.file} ({self.dialect}): {self.matched} of {total} parts fit"
        if self.touched != self.matched:
            words += f", {self.touched} of them are in the chosen blocks"
        if self.unmatched:
            name, reason = next(iter(self.unmatched.items()))
            count = len(self.unmatched)
            one = f"; 1 is left out: {name[:80]} ({reason})"
            words += one if count == 1 else f"; {count} are left out, such as {name[:80]} ({reason})"
        return f"{words}."


@dataclass(frozen=True)
class Fit:
    """A LoRA on a model.

    Attributes:
        use: how it is used.
        report: how much of it fits.
        adapters: official name of a part -> what changes it; only those that the block filter lets it touch.
        in_dim: the input channels that a Control-LoRA asks for, else None.
    """

    use: LoraUse
    report: LoraReport
    adapters: Mapping[str, list[Adapter]]
    in_dim: int | None = None


def targets(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Official name -> shape of every part that a LoRA may change: layers with a weight, lone parameters."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if hasattr(module, "out_features"):  # packed weights have no tensor of this name
            shapes[path] = (module.out_features, module.in_features)
        elif isinstance(weight, Tensor):
            shapes[path] = tuple(weight.shape)
        for name in LONE:
            if isinstance(parameter := getattr(module, name, None), Tensor):
                shapes[f"{path}.{name}"] = tuple(parameter.shape)
    return shapes


def fit(lora: Lora, model: nn.Module) -> Fit:
    """Find the parts of ``model`` that a LoRA changes.

    Args:
        lora: the file.
        model: a Wan DiT, whose parts may be on ``meta``.

    Raises:
        WeightsError: nothing fits, or the file is for other models; says what it looks like.
    """
    shapes = targets(model)
    parts = SortedParts(lora.tensors, shapes)
    allowed = BlockFilter.parse(lora.use.blocks)
    adapters: dict[str, list[Adapter]] = {}
    in_dim, matched = None, 0
    for path, (spelled, kinds) in parts.known.items():
        try:
            shape, wider = _widened(path, kinds, shapes[path], model)
            found = decode(kinds, shape, _scale_of(lora, spelled))
            _check_biases(found, path, model)
        except Misfit as problem:
            parts.unmatched[spelled] = str(problem)
            continue
        matched += 1
        if allowed.allows(path):
            adapters[path] = found
            in_dim = wider or in_dim
    if not matched or foreign_family(lora.tensors):
        raise WeightsError(_refusal(lora, parts, shapes))
    title = parts.titles.most_common(1)[0][0]
    report = LoraReport(lora.use.file, title, matched, parts.unmatched, len(adapters))
    return Fit(lora.use, report, adapters, in_dim)


def _widened(
    path: str, kinds: Kinds, shape: tuple[int, ...], model: nn.Module
) -> tuple[tuple[int, ...], int | None]:
    """The shape that a part has with a LoRA: the patch embedding may read one more clip of latents."""
    config = getattr(model, "config", None)
    tensor = kinds.get("down", kinds.get("diff"))
    if path != WIDENED or config is None or tensor is None or tensor.ndim < 2:
        return shape, None
    wide = widened_shape(path, math.prod(tensor.shape[1:]), shape, config)
    if wide is None:
        return shape, None
    if "magnitude" in kinds:
        raise Misfit("new channels have no length that a DoRA could keep")
    return wide, wide[1]


def _scale_of(lora: Lora, spelled: str) -> ScaleOf:
    return lambda rank: lora.scaling.of(spelled, rank)


def _check_biases(adapters: list[Adapter], path: str, model: nn.Module) -> None:
    shifts = [adapter for adapter in adapters if isinstance(adapter, Shift)]
    bias = None if path.rpartition(".")[2] in LONE else getattr(model.get_submodule(path), "bias", None)
    for shift in shifts:
        if bias is None:
            raise Misfit("the model has no bias there")
        if shift.change.shape != bias.shape:
            raise Misfit(f"its bias has {shift.change.numel()} numbers, not {bias.numel()}")


def _refusal(lora: Lora, parts: SortedParts[Tensor], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What a file looks like of which nothing fits."""
    file, family = lora.use.file, foreign_family(lora.tensors)
    if family:
        return f"{file} looks like a LoRA for {family}, not for Wan; choose one made for Wan2.1."
    if not parts.known:
        first = next(iter(lora.tensors), "none")[:80]
        return f"{file} holds no LoRA for Wan: its first tensor is {first}; choose one made for Wan2.1."
    path, (spelled, kinds) = next(
        (item for item in parts.known.items() if item[0].endswith("self_attn.q") and "down" in item[1][1]),
        next(iter(parts.known.items())),
    )
    if "down" in kinds and len(shapes[path]) == 2 and kinds["down"].shape[-1] != shapes[path][1]:
        return (
            f"{file} is for a Wan transformer of width {kinds['down'].shape[-1]}, and this model's is "
            f"{shapes[path][1]}; choose a LoRA for this model, or the model that it was made for."
        )
    return f"{file} fits no part of this model: {spelled[:80]} cannot be used, {parts.unmatched[spelled]}."

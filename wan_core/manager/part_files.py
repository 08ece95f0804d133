"""The opened files of one part of a model, and how they fill a module: strictly, without needless copies.

A tensor that has the wanted dtype stays in the file's pages: loading it takes no memory and no time, and
the operating system may drop and re-read it. Only what is cast is copied, one tensor at a time.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.headers import Shape
from wan_core.manager.recognise import Shapes, join, looks_like, official
from wan_core.manager.shards import checkpoints
from wan_core.quantization.prepare import prepare
from wan_core.quantization.stored import Loadable, StoredTensor, pair_scales
from wan_core.schema import WeightsError
from wan_core.schema.dialect import Combine

OnBytes = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), ten times a second; what it raises ends the loading."""

Model = TypeVar("Model", bound=nn.Module)

_TELL_SECONDS = 0.1


def _plain(tensor: Loadable) -> Tensor:
    return tensor if isinstance(tensor, Tensor) else tensor.unpack(tensor.dtype)


_TENSORS: Combine[Loadable] = Combine(
    stack=lambda parts: torch.cat([_plain(part) for part in parts]),
    lead=lambda tensor, ones: _plain(tensor)[(None,) * ones],
)


class PartFiles:
    """The opened files of one part of a model.

    Attributes:
        path: the file that errors name: the checkpoint, or the index.
        wanted: a phrase for what the files should be.
        shapes: name -> shape.
    """

    def __init__(self, folder: Path, files: tuple[str, ...], wanted: str) -> None:
        self.path = folder / files[0]
        self.wanted = wanted
        tensors = join(
            official({n: t for path in shards for n, t in open_checkpoint(path).items()}, _TENSORS)
            for shards in checkpoints(folder, files)
        )
        try:
            self._tensors: dict[str, Loadable] = pair_scales(tensors)
        except WeightsError as error:
            raise WeightsError(f"{self.path}: {error}") from error
        self.shapes: dict[str, Shape] = {name: tuple(t.shape) for name, t in self._tensors.items()}

    def dtype(self, name: str) -> torch.dtype:
        """The dtype of the tensor ``name``, as it is in the file; bfloat16 if it is quantised there."""
        return self._tensors[name].dtype

    @property
    def is_quantised(self) -> bool:
        """Whether the file holds any tensor in fp8, int8 or GGUF blocks."""
        return any(isinstance(tensor, StoredTensor) for tensor in self._tensors.values())

    def keep(self, select: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Forget the tensors that ``select`` leaves out."""
        self._tensors, self.shapes = select(self._tensors), select(self.shapes)

    def is_another(self, wanted: str) -> WeightsError:
        return WeightsError(
            f"{self.path} looks like {looks_like(self.shapes)}, not {wanted}; "
            "put the model's own file there, or download the model again."
        )

    def infer(self, infer_config: Callable[[Shapes], Any]) -> Any:
        """The sizes that the tensors tell; errors name the file."""
        try:
            return infer_config(self.shapes)
        except WeightsError as error:
            raise WeightsError(f"{self.path}: {error}") from error
        except (ValueError, KeyError, IndexError, ZeroDivisionError) as error:
            raise WeightsError(
                f"{self.path} is not the whole of {self.wanted} ({error}); download the model again."
            ) from error

    def compare(self, config: Any, expected: Any) -> None:
        """Refuse sizes other than ``expected``; ``None`` lets all pass."""
        if expected is None or config == expected:
            return
        found, wanted = dataclasses.asdict(config), dataclasses.asdict(expected)
        sizes = ", ".join(f"{name} {wanted[name]}" for name in wanted if wanted[name] != found[name])
        raise self.is_another(f"{self.wanted} with {sizes}")

    def fill(
        self,
        model: Model,
        dtype_of: Callable[[str], torch.dtype | None],
        on_bytes: OnBytes | None,
        rename: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
        scheme: str | None = None,
    ) -> Model:
        """Give ``model`` the tensors; ready for inference.

        Args:
            model: on ``meta``.
            dtype_of: name in ``model`` -> dtype of what is not quantised; None is the file's.
            on_bytes: told of the progress.
            rename: official names -> those of ``model``.
            scheme: how the matrices of blocks are kept, an id of ``SCHEMES``; None is as in the file.
        """
        self._check_shapes(rename(self.shapes), model)
        tensors, state = rename(self._tensors), {}
        left = {id(tensor): tensor.nbytes for tensor in tensors.values()}
        total, told = sum(left.values()), -math.inf
        for name, made in prepare(model, tensors, scheme, dtype_of):
            state |= made
            left.pop(id(tensors[name]), None)
            if on_bytes and (time.monotonic() - told > _TELL_SECONDS or not left):
                told = time.monotonic()
                on_bytes(total - sum(left.values()), total)
        model.load_state_dict(state, strict=True, assign=True)
        empty = [name for name, t in chain(model.named_parameters(), model.named_buffers()) if t.is_meta]
        assert not empty, f"these are in no checkpoint and must not be part of the module: {empty}"
        return model.requires_grad_(False).eval()

    def _check_shapes(self, found: Shapes, model: nn.Module) -> None:
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        missing = sorted(wanted.keys() - found.keys())
        unknown = sorted(found.keys() - wanted.keys())
        wrong = [name for name in wanted if name in found and found[name] != wanted[name]]
        for problem, names in (("lacks", missing), ("also has", unknown), ("has other shapes for", wrong)):
            if not names:
                continue
            example = names[0][:80]
            if names is wrong:
                example += f" {list(found[names[0]])} instead of {list(wanted[names[0]])}"
            raise WeightsError(
                f"{self.path} looks like {looks_like(self.shapes)}, but {problem} {len(names)} tensors, "
                f"such as {example}; download the model again."
            )

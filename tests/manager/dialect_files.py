"""Files of weights as their makers write them, and what is to be read from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from wan_core.schema.dialect import Combine

MANIFESTS = Path(__file__).parent.parent / "data" / "manifests"
FILE = "diffusion_pytorch_model.safetensors"
SHAPES: Combine[tuple[int, ...]] = Combine(
    stack=lambda parts: (sum(part[0] for part in parts), *parts[0][1:]),
    lead=lambda shape, ones: (1,) * ones + shape,
)

State = dict[str, Tensor]


def assert_same(model: nn.Module, expected: State) -> None:
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def scaled(scale: str, prefix: str = "", marker: bool = True) -> Callable[[State], State]:
    """fp8 with a scale for each matrix, the scale's name in the style of one maker."""

    def make(state: State) -> State:
        made: State = {f"{prefix}scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn)} if marker else {}
        for name, tensor in state.items():
            if is_matrix(name, tensor):
                layer = prefix + name.removesuffix(".weight")
                factor = tensor.abs().max() / 448
                made[prefix + name] = (tensor / factor).to(torch.float8_e4m3fn)
                made[f"{layer}.{scale}"] = factor
                if not marker:
                    made[f"{layer}.comfy_quant"] = torch.tensor(
                        [*b'{"format": "float8_e4m3fn"}'], dtype=torch.uint8
                    )
            else:
                made[prefix + name] = tensor
        return made

    return make


def is_matrix(name: str, tensor: Tensor) -> bool:
    return tensor.ndim == 2 and "blocks." in name and name.endswith(".weight")

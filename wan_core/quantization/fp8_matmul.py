"""Linear layers that multiply in fp8, on cards that can."""

# M rows of input, in/out features

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor

from wan_core.quantization.linear import QuantLinear
from wan_core.schema.schemes import FP8_MATMUL_CAPABILITY

_log = logging.getLogger(__name__)

_FORMAT = torch.float8_e4m3fn
_LARGEST = torch.finfo(_FORMAT).max
_MOST_GAIN = 2.0**15  # so that a row of tiny numbers does not overflow float16
_MULTIPLE = 16  # of both sides of the weight
_ROWS_AT_ONCE = 4096  # of the input; bounds the copies of it
_INPUTS = (torch.bfloat16, torch.float16)


class Fp8MatmulLinear(QuantLinear):
    """Brings each row of its input to e4m3, by a scale of its own, and multiplies with the e4m3 weight.

    Elsewhere than on a card with fp8 matrix products, and for float32 inputs, it unpacks its weight.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the dtype of ``x``."""
        fits = x.dtype in _INPUTS and self.in_features % _MULTIPLE == self.out_features % _MULTIPLE == 0
        return self.multiply(x) if fits and multiplies_fp8(x.device) else super().forward(x)

    def multiply(self, x: Tensor) -> Tensor:
        """``forward`` in fp8; sums are float32, the result is rounded to bfloat16 first."""
        scale = self.packed.new_ones((1, 1), dtype=torch.float32) if self.scale is None else self.scale
        columns = scale.expand(self.out_features, 1).t().contiguous()
        bias = None if self.bias is None else self.bias.to(torch.bfloat16)
        weight = self.packed.view(_FORMAT).t()
        rows = x.reshape(-1, self.in_features)
        result = x.new_empty(len(rows), self.out_features)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part, row_scale = quantise_rows(rows[start : start + _ROWS_AT_ONCE])
            result[start : start + _ROWS_AT_ONCE] = torch._scaled_mm(
                part, weight, scale_a=row_scale, scale_b=columns, bias=bias, out_dtype=torch.bfloat16
            )
        return result.unflatten(0, x.shape[:-1])


def quantise_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(M, in), 16 bits -> the same in e4m3, and (M, 1), float32: what each row is to be multiplied by."""
    reach = torch.linalg.vector_norm(rows, torch.inf, dim=1, keepdim=True).float()
    gain = (_LARGEST / reach).clamp_(max=_MOST_GAIN).to(rows.dtype)
    return (rows * gain).to(_FORMAT), gain.float().reciprocal()


@cache
def multiplies_fp8(device: torch.device) -> bool:
    """Whether a device multiplies fp8 matrices with a scale per row: asked of the device itself, once."""
    if device.type != "cuda" or torch.version.hip is not None:
        return False
    if torch.cuda.get_device_capability(device) < FP8_MATMUL_CAPABILITY:
        return False
    ones = torch.ones(_MULTIPLE, _MULTIPLE, device=device)
    try:
        product = torch._scaled_mm(
            ones.to(_FORMAT),
            ones.to(_FORMAT).t(),
            scale_a=ones[:, :1].contiguous(),
            scale_b=ones[:1],
            out_dtype=torch.bfloat16,
        )
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        _log.warning("%s multiplies no fp8 matrices: %s", device, error)
        return False
    is_right = bool((product == _MULTIPLE).all())
    if not is_right:
        _log.warning("%s multiplies fp8 matrices wrongly, so weights are unpacked for each use", device)
    return is_right

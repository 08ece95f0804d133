"""FreSca: coarse and fine parts of the guidance scaled apart (arXiv 2504.02154)."""

from __future__ import annotations

import torch
from torch import Tensor

from wan_core.guidance.method import Method, Moment


class FreSca(Method):
    """Coarse are the waves that are slower than a part of the fastest, along both sides of the picture."""

    def shape(self, moment: Moment, difference: Tensor) -> Tensor:
        options = moment.options
        low, high = options.fresca_low, options.fresca_high
        if low == high:
            return difference * low if low != 1 else difference
        height, width = difference.shape[-2:]
        device = difference.device
        rows = torch.fft.fftfreq(height, 0.5, device=device).abs() <= options.fresca_cutoff
        columns = torch.fft.rfftfreq(width, 0.5, device=device).abs() <= options.fresca_cutoff
        coarse = rows[:, None] & columns
        waves = torch.fft.rfft2(difference.float()) * torch.where(coarse, low, high)
        return torch.fft.irfft2(waves, s=(height, width)).to(difference.dtype)

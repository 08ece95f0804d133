"""Tiny upscalers with random weights, as spandrel knows them; no parameter is zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from wan_core.upscaling.nets import torchvision_or_nothing
from wan_core.upscaling.shelf import is_installed

if not is_installed():
    pytest.skip("spandrel is not installed", allow_module_level=True)

with torchvision_or_nothing():
    from spandrel.architectures import ESRGAN, SPAN, Compact, SwinIR


def compact(scale: int = 2, seed: int = 0) -> Any:
    """Real-ESRGAN's small net, with four convolutions."""
    return randomised(Compact.Compact(num_feat=8, num_conv=2, upscale=scale), seed)


def esrgan(seed: int = 0) -> Any:
    return randomised(ESRGAN.ESRGAN(num_filters=8, num_blocks=1, scale=4), seed)


def span(seed: int = 0) -> Any:
    return randomised(SPAN.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=False), seed)


def swinir(seed: int = 0) -> Any:
    """A net of windows, whose file holds whole numbers, too."""
    sizes = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "mlp_ratio": 2}
    return randomised(SwinIR.SwinIR(upscale=2, upsampler="pixelshuffle", **sizes), seed)


def randomised(net: Any, seed: int) -> Any:
    """The net with weights around 0, of which none is 0, that neither saturate nor vanish."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15 + 0.01)
            assert parameter.all()
    return net.eval()


def put(net: Any, folder: Path, name: str) -> Path:
    """Its file."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: tensor.detach().clone().contiguous() for key, tensor in net.state_dict().items()}
    path = folder / name
    if path.suffix == ".pth":
        torch.save({"params_ema": state}, path)
    else:
        save_file(state, path)
    return path

"""Loads a transformer in one way, reads every weight once, and prints the times as JSON.

    python -m benchmarks.load_dit studio FOLDER

``benchmarks.memory`` makes the folders and watches this process from outside.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

OFFICIAL = "official/diffusion_pytorch_model.safetensors"
DIFFUSERS = "diffusers"


def studio(folder: Path) -> nn.Module:
    """As the program does: built without memory, filled from the mapped file."""
    from wan_core.manager.loading import load_transformer

    path = folder / OFFICIAL
    return load_transformer(path.parent, [path.name], torch.bfloat16)


def diffusers(folder: Path) -> nn.Module:
    """``from_pretrained`` of the same sizes in diffusers' own layout."""
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel.from_pretrained(folder / DIFFUSERS, torch_dtype=torch.bfloat16)


def plain(folder: Path) -> nn.Module:
    """The module as its class makes it, the file read whole, the one copied into the other."""
    from safetensors.torch import load_file

    from wan_core.catalog import find_model
    from wan_core.models.dit.model import WanDiT

    model = WanDiT(find_model("wan2.1-t2v-1.3b").dit).to(torch.bfloat16)
    model.load_state_dict(load_file(folder / OFFICIAL))
    return model


def nothing(folder: Path) -> nn.Module:
    """What the program takes before any weight."""
    import wan_core.manager.loading  # noqa: F401

    return nn.Module()


WAYS: dict[str, Callable[[Path], nn.Module]] = {
    "nothing": nothing,
    "studio": studio,
    "diffusers": diffusers,
    "plain": plain,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    WAYS["nothing"](options.folder)
    if options.way == "diffusers":
        from diffusers import WanTransformer3DModel  # noqa: F401  # its import is not loading
    started = time.perf_counter()
    model = WAYS[options.way](options.folder)
    loaded = time.perf_counter()
    for parameter in model.parameters():
        parameter.detach().view(torch.uint8).flatten()[::4096].sum()  # a number of every page
    read = time.perf_counter()
    sys.stdout.write(json.dumps({"load_seconds": loaded - started, "read_seconds": read - loaded}) + "\n")


if __name__ == "__main__":
    main()

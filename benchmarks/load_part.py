"""Loads one part of a model as the studio does, uses it twice, and prints the times as JSON.

    python -m benchmarks.load_part HOME transformer --precision bf16

HOME is the studio's folder, as of ``--home``. The part ``none`` only imports the program: what is left
of the memory when no weights are in it. ``benchmarks.true_size`` watches this process from outside.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from wan_core.catalog import ModelSpec, Role, find_model
from wan_core.engine import Engine
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.pipelines.prompt_encoding import encode_prompt
from wan_core.schema import ProgressEvent, Settings
from wan_core.schema.settings import Precision

NO_PART = "none"
PROMPT = "A cat walks through the snow at dawn"
LATENTS = (1, 16, 2, 16, 16)  # 5 frames of 128x128


def use(module: nn.Module, role: Role, spec: ModelSpec, tokenizer: Path) -> None:
    """Run a part once at a small size: every weight of what it does is read."""
    if role is Role.TEXT_ENCODER:
        encode_prompt(module, PromptTokenizer(tokenizer, spec.dit.text_len), PROMPT)
        return
    latents = torch.randn(LATENTS)
    with torch.inference_mode():
        if role is Role.VAE:
            module.decode(latents)
        else:
            module(latents, torch.tensor([500]), torch.randn(1, 32, spec.dit.text_dim))


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ignore(event: ProgressEvent) -> None:
    """An ``Emit`` for work that nobody follows."""


def measure(spec: ModelSpec, role: Role, settings: Settings) -> dict[str, float]:
    """Seconds until the part is lent, of its first use (which reads mapped files), and of its second."""
    manager = Engine(settings).manager
    tokenizer = manager.folder(spec, "tokenizer", ignore)
    started = time.perf_counter()
    with manager.use(spec, role, ignore) as module:
        loaded = time.perf_counter() - started
        first, second = (timed(lambda: use(module, role, spec, tokenizer)) for _ in range(2))
    return {"load_seconds": loaded, "first_use_seconds": first, "second_use_seconds": second}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path, help="the studio's folder")
    parser.add_argument("part", choices=(NO_PART, *Role))
    parser.add_argument("--model", default="wan2.1-t2v-1.3b")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    options = parser.parse_args()
    settings = Settings(home=options.home, device="cpu", precision=options.precision, offline=True)
    seconds = {}
    if options.part != NO_PART:
        seconds = measure(find_model(options.model), Role(options.part), settings)
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main()

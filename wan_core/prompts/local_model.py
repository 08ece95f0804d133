"""A language model on this machine: found, never fetched, and run in a process of its own.

The process leaves the GPU to the videos, has limits on time and memory, and takes its memory with it when it
ends, which is after each prompt.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from wan_core.confined.environment import without_secrets
from wan_core.prompts.instructions import MAX_TOKENS
from wan_core.schema import EnhancementFailed

_ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_SHARE_OF_RAM = 0.9
_OVERHEAD = 2**30
"""Bytes that torch and the text itself take besides the weights."""

Started = Callable[[subprocess.Popen[str]], None]


def find_folder(name: str, hub_cache: Path | None = None) -> Path:
    """The folder of a model: the one named, or the snapshot of that name in the hub cache.

    Raises:
        EnhancementFailed: it is not on this machine, or holds no language model that can be trusted.
    """
    if not name:
        raise EnhancementFailed("Name a language model's folder in Settings.")
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _snapshot(name, hub_cache)
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise EnhancementFailed(
            f"{name} holds no language model; it needs config.json, a tokenizer and .safetensors files."
        )
    return folder


def offered(hub_cache: Path | None = None) -> list[str]:
    """The language models in the hub cache, by name."""
    names = []
    for config in _cache(hub_cache).glob("models--*/snapshots/*/config.json"):
        try:
            kinds = json.loads(config.read_bytes()).get("architectures") or []
        except (OSError, ValueError, AttributeError):
            continue
        if any(str(kind).endswith("ForCausalLM") for kind in kinds):
            names.append(config.parts[-4].removeprefix("models--").replace("--", "/"))
    return sorted(set(names))


def ask_local(folder: Path, messages: list[dict[str, str]], seconds: float, started: Started) -> str:
    """What the model in ``folder`` answers.

    Args:
        folder: see ``find_folder``.
        messages: the conversation so far.
        seconds: after which the process is ended.
        started: told of the process, so that it can be ended sooner.

    Raises:
        EnhancementFailed: one sentence: no room, no time, or the model cannot be run.
    """
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    _require_room(size)
    asked = {
        "folder": str(folder.resolve()),
        "messages": messages,
        "max_tokens": MAX_TOKENS,
        "seed": secrets.randbelow(2**31),
        "seconds": int(seconds) + 1,
        "bytes": 3 * size + 8 * 2**30,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "wan_core.prompts.local_writer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=_environment(),
        text=True,
        encoding="utf-8",
    )
    started(process)
    try:
        written, _ = process.communicate(json.dumps(asked), timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise EnhancementFailed(
            f"The language model did not finish in {seconds:g} s; allow more, or take a smaller one."
        ) from error
    finally:
        process.kill()
        process.wait()
    return _answer(written, folder.name)


def _answer(written: str, name: str) -> str:
    try:
        told = json.loads(written)
    except ValueError as error:
        raise EnhancementFailed(
            "The language model ended before it wrote anything; is there enough memory for it?"
        ) from error
    if told.get("error"):
        raise EnhancementFailed(f"{name} cannot be run as a language model: {told['error']}")
    return told["text"]


def _require_room(size: int) -> None:
    import psutil

    free = psutil.virtual_memory().available * _SHARE_OF_RAM
    if size + _OVERHEAD > free:
        raise EnhancementFailed(
            f"The language model takes about {(size + _OVERHEAD) / 2**30:.1f} GiB of memory and "
            f"{free / 2**30:.1f} GiB are free; unload the video model, or take a smaller one."
        )


def _environment() -> dict[str, str]:
    """Without network, without GPU, on half of the cores."""
    threads = str(max((os.cpu_count() or 2) // 2, 1))
    closed = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**without_secrets(), **closed}


def _cache(hub_cache: Path | None) -> Path:
    from huggingface_hub import constants

    return hub_cache or Path(constants.HF_HUB_CACHE)


def _snapshot(name: str, hub_cache: Path | None) -> Path:
    root = _cache(hub_cache) / f"models--{name.replace('/', '--')}"
    if _NAME.fullmatch(name):
        ref = root / "refs" / "main"
        known = [root / "snapshots" / ref.read_text().strip()] if ref.is_file() else []
        for folder in (*known, *sorted((root / "snapshots").glob("*"))):
            if folder.is_dir():
                return folder
    raise EnhancementFailed(
        f"{name} is no folder on this machine and no model in its Hugging Face cache; nothing is downloaded "
        "for this, so fetch it yourself or name another."
    )

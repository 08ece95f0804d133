"""A LoRA by its address: fetched, read as a LoRA for Wan, and put on the shelf. Imports no torch.

What arrives grows in a hidden folder of its own within the LoRA folder, where nothing looks for LoRAs. Only a
file whose header is that of a LoRA for Wan leaves it, and never in the place of another file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wan_core.catalog import MODELS
from wan_core.lora.card import read_card
from wan_core.lora.sorting import count_parts
from wan_core.manager.download import HubRepo, Order, download, follow
from wan_core.manager.file_hashes import FileHashes
from wan_core.manager.headers import read_header, sniff
from wan_core.manager.lora_address import HubFile, WebFile, key_of
from wan_core.manager.web_transfer import WebTransfer
from wan_core.media.naming import safe_stem
from wan_core.schema import DownloadError, Emit, Settings, WeightsError
from wan_core.schema.lora import check_name

LARGEST = 8 * 10**9
"""Bytes; LoRAs of the 14B models have 0.1 to 2 GB."""

_ARRIVING = ".arriving"
_KEPT_SECONDS = 14 * 24 * 3600
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Arrived:
    """A LoRA that is on the shelf now.

    ``name`` is how requests name it, ``sha256`` its content's. ``known``: just this file was there before;
    ``renamed``: another of its name was.
    """

    name: str
    sha256: str
    known: bool = False
    renamed: bool = False


def fetch_lora(
    source: HubFile | WebFile, settings: Settings, emit: Emit, endpoint: str | None = None
) -> Arrived:
    """Download a LoRA into ``settings.loras_dir``.

    Args:
        source: see ``read_address``.
        settings: the folder.
        emit: receives ``Stage.DOWNLOAD`` events; what it raises ends the download, and what has arrived
            stays for the next try.
        endpoint: the hub; None is ``$HF_ENDPOINT``, else huggingface.co.

    Raises:
        DownloadError: it cannot be fetched.
        WeightsError: it is no LoRA for Wan, or damaged; it is thrown away.
    """
    folder = settings.loras_dir / _ARRIVING / key_of(source)
    try:
        _tidy(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        file, name = _received(source, folder, emit, endpoint)
        try:
            _require_lora(file, source.shown)
        except WeightsError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        arrived = _shelve(file, name, settings)
    except OSError as error:
        raise DownloadError(
            f"{source.shown} cannot be kept in {settings.loras_dir} ({error.strerror or error}); free some "
            "space, or allow it to be written to."
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    return arrived


def _received(source: HubFile | WebFile, folder: Path, emit: Emit, endpoint: str | None) -> tuple[Path, str]:
    """The whole file, and what it is called where it comes from."""
    if isinstance(source, HubFile):
        repo = HubRepo(source.repo, source.revision, endpoint, official=False)
        download([Order(repo, {source.path: ""}, folder, LARGEST)], emit)
        return folder / source.path, source.path.rpartition("/")[2]
    transfer = WebTransfer(source.url, source.shown, folder, LARGEST)
    follow(transfer, folder, emit)
    return transfer.file, transfer.name


def _require_lora(path: Path, shown: str) -> None:
    """Refuse what is no LoRA that fits a model of this studio, by its header.

    Raises:
        WeightsError: saying what it is.
    """
    try:
        if sniff(path) != "safetensors":
            raise WeightsError("it is no safetensors file")
        header = read_header(path)
    except WeightsError as error:
        problem = str(error).replace(str(path), "it")
        raise WeightsError(f"{shown} is damaged or no LoRA, and was thrown away: {problem}") from error
    shapes = {key: entry.shape for key, entry in header.tensors.items()}
    family = read_card(shapes, header.metadata).family
    if family:
        raise WeightsError(f"{shown} looks like a LoRA for {family}, not for Wan, and was thrown away.")
    if not any(count_parts(shapes, spec.dit).fitting for spec in MODELS.values()):
        raise WeightsError(
            f"{shown} fits no part of any model of this studio and was thrown away; is it a LoRA for Wan2.1?"
        )


def _shelve(file: Path, told: str, settings: Settings) -> Arrived:
    """Give a checked file its place, unless it is there; nothing that is there is touched."""
    digest = _digest(file)
    stem = safe_stem(told[: -len(_SUFFIX)] if told.lower().endswith(_SUFFIX) else told) if told else "lora"
    stem = stem.lstrip(".~") or "lora"
    for count in range(1, 1000):
        name = check_name(f"{stem}{'' if count == 1 else f'-{count}'}{_SUFFIX}")
        target = settings.loras_dir / name
        if target.exists() or target.is_symlink():
            with suppress(OSError):
                same_size = target.stat().st_size == file.stat().st_size
                if same_size and FileHashes(settings).digest(target) == digest:
                    return Arrived(name, digest, known=True)
            continue
        try:
            _place(file, target)
        except FileExistsError:  # since we looked
            continue
        return Arrived(name, digest, renamed=count > 1)
    raise DownloadError(f"{settings.loras_dir} has too many files called {stem}; tidy it up and start again.")


def _place(file: Path, target: Path) -> None:
    """Move, but never onto another file."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with target.open("xb"):
            os.replace(file, target)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tidy(arriving: Path) -> None:
    """Remove what nobody has gone on with for two weeks."""
    for folder in arriving.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - _KEPT_SECONDS:
                shutil.rmtree(folder)

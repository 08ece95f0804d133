"""``python -m wan_core lora``: the LoRAs of this machine, and one more by its address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from wan_core.cli_export import Progress
from wan_core.lora.shelf import find_lora, list_loras
from wan_core.manager.lora_address import read_address
from wan_core.manager.lora_cards import lora_card
from wan_core.manager.lora_download import fetch_lora
from wan_core.manager.weights import WeightStore
from wan_core.schema import InvalidRequest, Settings, WanStudioError


def add_lora_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("action", nargs="?", choices=("list", "add"), default="list")
    parser.add_argument(
        "address",
        nargs="?",
        metavar="address",
        help="owner/repo/file.safetensors, the address of a file on the hub or Civitai, or any with https",
    )


def run_lora(options: argparse.Namespace, settings: Settings, progress: Callable[[], Progress]) -> int:
    """List the LoRAs, or fetch one.

    Raises:
        InvalidRequest: this is no address, or the studio is offline.
        DownloadError, WeightsError: it cannot be fetched, or is no LoRA for Wan.
    """
    if options.action == "add":
        return _add(options.address, settings, progress())
    for name in list_loras(settings):
        sys.stdout.write(f"{_line(settings, name)}\n")
    return 0


def _add(address: str | None, settings: Settings, shown: Progress) -> int:
    if not address:
        raise InvalidRequest("address", "none is given", "Give that of a .safetensors file.")
    source = read_address(address)
    if WeightStore(settings).is_offline:
        raise InvalidRequest("address", "the studio is offline", "Leave --offline out.")
    try:
        arrived = fetch_lora(source, settings, shown)
    finally:
        shown.close()
    if arrived.known:
        sys.stderr.write("Just this file was there already.\n")
    elif arrived.renamed:
        sys.stderr.write("Another file of its name was there, so it got a number.\n")
    sys.stderr.write(f"SHA-256 {arrived.sha256}\n")
    sys.stdout.write(f"{settings.loras_dir / arrived.name}\n")
    return 0


def _line(settings: Settings, name: str) -> str:
    """Name, what it is, and where."""
    try:
        card = lora_card(settings, name)
    except WanStudioError as error:  # the others are of use all the same
        return f"{name:<40} {error}"
    facts = [f"for {card.family}, not for Wan" if card.family else "", card.title, card.base]
    facts += [f"rank {card.rank}" if card.rank else ""]
    return f"{name:<40} {' · '.join(filter(None, facts)):<30} {find_lora(settings, name).parent}"

"""The sentences about LoRAs, as a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoraTexts:
    """Names in braces are filled in with ``str.format``; ``count`` and what follows it by our own code."""

    fold: str
    add: str
    remove: str
    choose: str
    absent: str
    strength: str
    strength_help: str
    blocks: str
    blocks_help: str
    merge: str
    merge_help: str
    more: str
    words: str
    tags: str
    preset: str
    rank: str
    none_here: str
    none_yet: str
    count_one: str
    count_many: str
    of_parts: str
    parts_fit: str
    by_address: str
    address_hint: str
    address_help: str
    fetch: str
    stop: str
    again: str
    dismiss: str
    stopped: str
    arrived: str
    arrived_known: str
    arrived_renamed: str

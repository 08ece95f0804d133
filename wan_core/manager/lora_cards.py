"""What LoRA files say of themselves, read from their headers. Imports no torch."""

from __future__ import annotations

from contextlib import suppress

from wan_core.lora.card import LoraCard, Scaling, read_card, read_scaling
from wan_core.lora.shelf import find_lora
from wan_core.lora.sorting import PartsCount, count_parts
from wan_core.manager.headers import Header, read_header
from wan_core.models.dit.config import DiTConfig
from wan_core.schema import GenerationRequest, InvalidRequest, Settings, WeightsError

_CONFIG, _CONFIG_BYTES = "adapter_config.json", 2**20
_OF_PEFT = "adapter_model.safetensors"


def lora_card(settings: Settings, name: str) -> LoraCard:
    """The card of a LoRA.

    Raises:
        InvalidRequest: there is none of this name.
        WeightsError: its file is damaged.
    """
    header = lora_header(settings, name)
    return read_card({key: entry.shape for key, entry in header.tensors.items()}, header.metadata)


def lora_count(settings: Settings, name: str, dit: DiTConfig) -> PartsCount:
    """How many parts of a LoRA fit a transformer of these sizes; errors as ``lora_card``."""
    header = lora_header(settings, name)
    return count_parts({key: entry.shape for key, entry in header.tensors.items()}, dit)


def lora_scaling(settings: Settings, name: str) -> Scaling:
    """The alpha that a LoRA's file does not hold as a tensor; errors as ``lora_card``."""
    path = find_lora(settings, name)
    config = path.with_name(_CONFIG)
    has_config = path.name == _OF_PEFT and config.is_file() and config.stat().st_size <= _CONFIG_BYTES
    return read_scaling(lora_header(settings, name).metadata, config.read_bytes() if has_config else "")


def lora_bytes(settings: Settings, request: GenerationRequest) -> int:
    """What the LoRAs of a request take on the device beside the weights; what is not there takes nothing."""
    total = 0
    for use in request.loras:
        with suppress(InvalidRequest, OSError):
            total += 0 if use.merge else find_lora(settings, use.file).stat().st_size
    return total


def lora_header(settings: Settings, name: str) -> Header:
    """The header of a LoRA's file; errors as ``lora_card``."""
    path = find_lora(settings, name)
    try:
        return read_header(path)
    except (WeightsError, OSError) as error:
        raise WeightsError(f"The LoRA {name} cannot be used: {error}") from error

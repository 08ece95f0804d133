"""Opens LoRA files, as mistrustfully as checkpoints."""

from __future__ import annotations

from torch import Tensor

from wan_core.lora.fitting import Lora
from wan_core.lora.shelf import find_lora
from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.lora_cards import lora_scaling
from wan_core.schema import Settings, WeightsError
from wan_core.schema.lora import LoraUse


def open_lora(settings: Settings, use: LoraUse) -> Lora:
    """A LoRA of the studio's folders, its tensors memory-mapped.

    Raises:
        InvalidRequest: there is none of this name.
        WeightsError: its file is damaged, or not to be trusted.
    """
    path = find_lora(settings, use.file)
    try:
        tensors = open_checkpoint(path)
    except WeightsError as error:
        raise WeightsError(f"The LoRA {use.file} cannot be used: {error}") from error
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise WeightsError(f"{use.file} is packed as a GGUF file is; use the LoRA's .safetensors file.")
    facts = path.stat()
    identity = f"{path} {facts.st_size} {facts.st_mtime_ns}"
    return Lora(use, tensors, lora_scaling(settings, use.file), identity)

"""What decides the numbers of a run: the request, the files that it reads, and how this machine computes."""

from __future__ import annotations

import hashlib
import json

import torch

from wan_core.catalog import ModelSpec
from wan_core.lora.shelf import find_lora
from wan_core.manager.devices import device_facts
from wan_core.manager.file_hashes import state_of
from wan_core.manager.model_manager import ModelManager
from wan_core.manager.origins import files_of
from wan_core.ops.attention import attention_in_use
from wan_core.schema import GenerationRequest, Settings


def fingerprint(
    spec: ModelSpec, request: GenerationRequest, settings: Settings, manager: ModelManager, merges: bool
) -> str:
    """Of a settled request; files count by path, size and time of change, so nothing is read.

    Args:
        spec: the model's row.
        request: settled; its media are named by their content.
        settings: where LoRAs are, and how transformers run.
        manager: where the model's files are, and what it makes of them.
        merges: whether the passes of a step run as one batch.

    Raises:
        InvalidRequest: a LoRA is not there.
        WeightsError: an index of shards is damaged.
        OSError: a file has just vanished.
    """
    roles = sorted(spec.weights)
    models = [state_of(path) for role in roles for path in files_of(manager.store, spec, role)]
    merged = any(use.merge for use in request.loras) and manager.can_merge(spec)
    facts = {
        "request": request.model_dump_json(),
        "files": [*models, *(state_of(find_lora(settings, use.file)) for use in request.loras)],
        "parts": [f"{role} {manager.dtype(role)}" for role in roles],
        "settings": [settings.precision, settings.fp16_accumulation, settings.compile],
        "device": [device_facts(manager.device).name, torch.__version__, torch.get_num_threads()],
        "way": [attention_in_use(), merges, merged],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

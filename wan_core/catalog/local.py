"""Rows for files that a person has: a model of the table with another transformer. Imports no torch.

Such a row's id names the file, ``<id of the model>@<name>``, or several as ``<name>:<name>``; so it means the
same in every process and after a restart, and nothing has to be registered. ``wan_core.manager.library``
knows where the named files are.
"""

from __future__ import annotations

import re
from dataclasses import replace

from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, WeightFiles
from wan_core.lora.presets import PRESETS, preset_for

GENERIC = ("diffusion_pytorch_model", "pytorch_model", "model", "transformer", "unet", "vae", "snapshots")
"""Names that say nothing of the model; then the folder's name does."""

_MARK, _BETWEEN = "@", ":"
_ENDING = re.compile(r"(-\d{5}-of-\d{5})?\.(safetensors|gguf|pth|pt|bin|ckpt)(\.index\.json)?$")


def with_files(spec: ModelSpec, names: tuple[str, ...]) -> ModelSpec:
    """``spec`` with the transformer in the library's files of these names, which go before its title.

    Names that tell of weights made for few steps bring what these are sampled with.
    """
    return replace(
        spec,
        defaults=_sampled_as(names, spec.defaults),
        id=f"{spec.id}{_MARK}{_BETWEEN.join(names)}",
        title=f"{' + '.join(short_name(name) for name in reversed(names))} · {spec.title}",
        weights={**spec.weights, Role.TRANSFORMER: WeightFiles(names, 0, is_local=True)},
    )


def _sampled_as(names: tuple[str, ...], defaults: SamplingDefaults) -> SamplingDefaults:
    known = next((key for name in names if (key := preset_for(name, "model"))), None)
    if known is None:
        return defaults
    row = PRESETS[known]
    return replace(
        defaults,
        num_inference_steps=row.num_inference_steps,
        guidance_scale=row.guidance_scale,
        shift=row.shift,
        scheduler=row.scheduler,
        sigmas=row.sigmas,
    )


def short_name(name: str) -> str:
    """What people call a file of the library: its name without its ending, or its folder's."""
    words = _ENDING.sub("", name).split("/")
    return next((word for word in reversed(words) if word.lower() not in GENERIC), words[-1])


def split(model_id: str) -> tuple[str, tuple[str, ...]]:
    """The id in the table, and the names of a person's own files; none for the model as it is."""
    base, _, names = model_id.partition(_MARK)
    return base, tuple(name for name in names.split(_BETWEEN) if name)


def can_be_named(name: str) -> bool:
    """Whether a file's name leaves an id readable."""
    return _BETWEEN not in name

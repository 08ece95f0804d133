"""How single parts are to be kept, where the settings alone do not say enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from wan_core.catalog import Role
from wan_core.schema import InvalidRequest
from wan_core.schema.schemes import SCHEMES

_PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PACKABLE = (Role.TRANSFORMER, Role.TEXT_ENCODER)
_DEVICES, _PLACES = (None, "cpu"), ("ram", "disk")


@dataclass(frozen=True)
class Keeping:
    """How one part is kept.

    Attributes:
        dtype: an id of ``SCHEMES``; None follows the settings.
        device: "cpu", where it then computes, or None: where the plan says.
        offload: where it waits between its uses; from "disk" it is read again each time.
    """

    dtype: str | None = None
    device: Literal["cpu"] | None = None
    offload: Literal["ram", "disk"] = "ram"


DEFAULT = Keeping()


def check(role: Role, keeping: Keeping) -> None:
    """Refuse what a part cannot be kept as.

    Raises:
        InvalidRequest: naming the value and what may be asked for.
    """
    choices = [id for id, s in SCHEMES.items() if s.selectable and (s.plain or role in _PACKABLE)]
    asked = (("dtype", keeping.dtype, [None, *choices]), ("device", keeping.device, _DEVICES))
    for field, value, allowed in (*asked, ("offload", keeping.offload, _PLACES)):
        if value not in allowed:
            raise InvalidRequest(
                field, f"{role} cannot be kept as {value!r}", f"Choose one of {', '.join(map(str, allowed))}."
            )


def told_dtypes(keeping: Mapping[Role, Keeping]) -> dict[Role, torch.dtype]:
    """The dtypes of the parts that are to be kept plain."""
    return {role: _PLAIN[kept.dtype] for role, kept in keeping.items() if kept.dtype in _PLAIN}


def told_schemes(keeping: Mapping[Role, Keeping]) -> dict[Role, str]:
    """The schemes of the parts that may have one, an id of ``SCHEMES``."""
    return {role: kept.dtype for role, kept in keeping.items() if kept.dtype and role in _PACKABLE}

"""Which attention kernel Auto takes: the fastest of the exact ones, as timed once on this machine."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from wan_core.catalog import Role
from wan_core.manager.device_kinds import KINDS
from wan_core.manager.devices import choose_dtypes, device_facts
from wan_core.media.atomic import whole_file
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.attention_timing import attention_seconds
from wan_core.ops.kernels import KERNELS
from wan_core.ops.out_of_memory import is_out_of_memory
from wan_core.schema import Settings
from wan_core.schema.attention import AttentionName

_log = logging.getLogger(__name__)


def timed_attention(settings: Settings, device: torch.device) -> dict[AttentionName, float]:
    """Seconds that each exact kernel takes on this device, those that work there and are right.

    Timed once for each device, precision, torch and package, and kept in ``Settings.measured_dir``. Empty
    where there is no choice, or it could not be timed.
    """
    facts = device_facts(device)
    dtype = choose_dtypes(facts, settings.precision)[Role.TRANSFORMER]
    able = exact_attention(device, dtype)
    if len(able) < 2:
        return {}
    what = [
        facts.name,
        str(dtype),
        torch.get_num_threads() if device.type == "cpu" else 0,
        *map(_built, able),
    ]
    path = settings.measured_dir / f"attention-{sha256(json.dumps(what).encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, TypeError, AttributeError):
        kept = {name: float(seconds) for name, seconds in json.loads(path.read_text()).items()}
        if set(kept) <= set(able) and all(seconds > 0 for seconds in kept.values()):
            return kept
    return _time(able, device, dtype, path)


def exact_attention(device: torch.device, dtype: torch.dtype) -> list[AttentionName]:
    """What Auto chooses from: exact kernels that came out right in their trial; "auto" is torch's choice."""
    exact = [name for name in KINDS[device_facts(device).kind].attention if KERNELS[name].exact]
    return [name for name in exact if attention_unsupported(name, device, dtype) is None]


def _time(
    able: list[AttentionName], device: torch.device, dtype: torch.dtype, path: Path
) -> dict[AttentionName, float]:
    try:
        found = attention_seconds(able, device, dtype)
    except RuntimeError as error:  # the inputs, a hundred megabytes, did not fit
        if not is_out_of_memory(error):
            raise
        return {}
    _log.info("Attention takes %s.", ", ".join(f"{name} {seconds:.4f} s" for name, seconds in found.items()))
    with suppress(OSError), whole_file(path) as partial:  # it is timed anew, then
        partial.write_text(json.dumps(found))
    return found


def _built(name: AttentionName) -> str:
    """A kernel and the version of what it comes with."""
    package = KERNELS[name].package
    try:
        return f"{name} {version(package)}" if package else f"{name} {torch.__version__}"
    except PackageNotFoundError:  # installed under another name than it is imported by
        return name

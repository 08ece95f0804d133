"""Where figures are kept, and what machine they are from."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """The CPU's model, as the system names it."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def place(name: str) -> Path:
    """Where the report of that name lies for this device."""
    device = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return RESULTS / f"{name}-{device}.json"


def saved(name: str) -> dict[str, object]:
    """What ``save`` wrote on this device; empty if nothing yet."""
    path = place(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(name: str, report: dict[str, object]) -> Path:
    """Write ``results/<name>-<device>.json``; the device's name is part of the report too."""
    target = place(name)
    text = json.dumps({"device": processor(), **report}, indent=1, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    return target

"""Prints what is installed here as a CycloneDX bill of materials: ``python .ci/sbom.py > sbom.cdx.json``.

Needs nothing but Python. Packages of Python are told by this environment, those of Debian by dpkg, where
there is one; the same environment gives the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from typing import Any

_DPKG = ["dpkg-query", "-W", "-f=${binary:Package}\t${Version}\t${Architecture}\n"]


def main() -> None:
    parts = {part["bom-ref"]: part for part in (*_python_packages(), *_debian_packages())}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "wan-studio", "bom-ref": "wan-studio"}},
        "components": [parts[reference] for reference in sorted(parts)],
    }
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(json.dumps(bill, indent=1, ensure_ascii=False) + "\n")


def _python_packages() -> list[dict[str, Any]]:
    return [_python_package(found) for found in distributions() if found.metadata["Name"]]


def _python_package(found: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
    part = _component(name, found.version, f"pkg:pypi/{name}@{found.version}")
    licence = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
    if licence and "\n" not in licence and len(licence) < 100:
        part["licenses"] = [{"license": {"name": licence}}]
    record = found.read_text("RECORD")
    if record:  # of every file that was installed, with its digest
        digest = hashlib.sha256("\n".join(sorted(record.splitlines())).encode()).hexdigest()
        part["properties"] = [{"name": "wan-studio:sha256-of-record", "value": digest}]
    return part


def _debian_packages() -> list[dict[str, Any]]:
    if not shutil.which(_DPKG[0]):
        return []
    lines = subprocess.run(_DPKG, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = (line.split("\t") for line in lines)
    return [
        _component(name, version, f"pkg:deb/debian/{name.partition(':')[0]}@{version}?arch={arch}")
        for name, version, arch in rows
    ]


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    main()

"""Where weights and packages come from: pinned, compared, and without telling anybody our login."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manager.conftest import hub, settings, spec  # noqa: F401 - fixtures
from tests.manager.test_download import quiet, store  # noqa: F401 - a fixture
from wan_core.catalog import MODELS
from wan_core.confined.limits import bare_environment
from wan_core.manager.found_file import FoundFile
from wan_core.manager.library import _worth
from wan_core.manager.weights import model_parts, source_of
from wan_core.schema import DownloadError

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hf_verysecretvalue"

# Their commits are not known to us; what comes is still compared with the digest that the hub tells
UNPINNED = {
    "DiffSynth-Studio/Wan2.1-1.3b-speedcontrol-v1",
    "ali-vilab/VACE-Wan2.1-1.3B-Preview",
    "alibaba-pai/Wan2.1-Fun-1.3B-InP",
    "alibaba-pai/Wan2.1-Fun-14B-Control",
    "alibaba-pai/Wan2.1-Fun-14B-InP",
    "alibaba-pai/Wan2.1-Fun-V1.1-1.3B-Control",
    "alibaba-pai/Wan2.1-Fun-V1.1-1.3B-Control-Camera",
    "alibaba-pai/Wan2.1-Fun-V1.1-14B-Control",
    "alibaba-pai/Wan2.1-Fun-V1.1-14B-Control-Camera",
    "alibaba-pai/Wan2.1-Fun-V1.1-14B-InP",
}


def test_repositories_are_pinned_to_a_commit() -> None:
    """But for those of the list, which may only become shorter."""
    sources = {source_of(row, part) for row in MODELS.values() for part in model_parts(row)}
    loose = {each.repo for each in sources if each.repo and not re.fullmatch("[0-9a-f]{40}", each.revision)}
    assert loose <= UNPINNED
    assert not [repo for repo in loose if repo.startswith("Wan-AI/")]


def test_what_nobody_tells_the_digest_of_is_not_fetched(store, spec, hub) -> None:  # noqa: F811
    hub.etag = "W/abc"
    with pytest.raises(DownloadError, match="without its size and digest"):
        store.fetch(spec, quiet)
    assert not hub.asked("GET", "vae.pth")


def test_safetensors_go_before_other_files_of_their_size() -> None:
    def found(name: str, size: int, scheme: str) -> FoundFile:
        return FoundFile(name, (Path(name),), size, scheme=scheme)

    pickled, safe = found("a.pth", 2_838_000_000, "bf16"), found("b.safetensors", 2_838_300_000, "bf16")
    large, packed = found("c.safetensors", 5_676_000_000, "fp32"), found("d.gguf", 900_000_000, "gguf_q4_k")
    assert sorted([packed, large, pickled, safe], key=_worth) == [safe, pickled, large, packed]


def test_the_login_is_in_no_log(store, spec, hub, monkeypatch, caplog) -> None:  # noqa: F811
    monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.through_cdn = True
    with caplog.at_level(logging.DEBUG):
        store.fetch(spec, quiet)
        hub.statuses.append(("GET", 403, {}))
        hub.files["vae.pth"] += b"x"
        (store.folder(spec) / "vae.pth").unlink()
        with pytest.raises(DownloadError) as caught:
            store.fetch(spec, quiet)
    assert any(request.authorization == f"Bearer {SECRET}" for request in hub.requests)
    assert SECRET not in caplog.text and SECRET not in str(caught.value)


def test_readers_of_foreign_files_know_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("WAN_STUDIO_PASSWORD", SECRET)
    assert SECRET not in bare_environment().values()
    assert bare_environment()["PATH"] == os.environ["PATH"]


def test_packages_are_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            requirement = line.partition(";")[0].strip()
            if requirement and not requirement.startswith(("-r", "#")):
                assert "==" in requirement or ("<=" in requirement and ">=" in requirement), line


def test_the_bill_of_materials_lists_what_is_installed() -> None:
    # through a pipe, as where an image's user may not open /dev/stdout by its name
    command = [sys.executable, "-"]
    script = (ROOT / ".ci" / "sbom.py").read_bytes()
    written = subprocess.run(command, input=script, capture_output=True, check=True).stdout
    bill = json.loads(written)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {part["name"]: part for part in bill["components"]}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        if version and name != "xformers":
            key = name.lower().replace("_", "-")
            assert found[key]["version"] == version
            assert found[key]["purl"] == f"pkg:pypi/{key}@{version}"
    assert subprocess.run(command, input=script, capture_output=True, check=True).stdout == written

"""Fixtures of all tests: the tiny model, as a row of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import write_tiny_model
from wan_core.catalog import MODELS, ModelSpec
from wan_core.schema import Settings


@pytest.fixture(scope="session")
def tiny_spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    """The tiny model, written once; not in the catalog."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny(tiny_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The tiny model, as ``model="tiny"`` of requests."""
    monkeypatch.setitem(MODELS, "tiny", tiny_spec)
    return tiny_spec


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own, on the CPU, in float32, offline."""
    return Settings(home=tmp_path / "home", device="cpu", precision="fp32", offline=True)

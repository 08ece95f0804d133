from __future__ import annotations

import pytest

from wan_core.media.inputs import InputStore
from wan_core.schema import Settings


@pytest.fixture
def inputs(settings: Settings) -> InputStore:
    return InputStore(settings.inputs_dir)

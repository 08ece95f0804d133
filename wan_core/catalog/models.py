"""The table of models, in the order in which they are offered."""

from __future__ import annotations

from wan_core.catalog import community, demo, fun, image, official, vace
from wan_core.catalog.spec import ModelSpec

MODELS: dict[str, ModelSpec] = {
    row.id: row for row in (*demo.ROWS, *official.ROWS, *image.ROWS, *vace.ROWS, *fun.ROWS, *community.ROWS)
}

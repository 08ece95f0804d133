"""Small models beside the video models: they draw control videos. Imports no torch."""

from __future__ import annotations

from wan_core.catalog.spec import WeightFiles

_FILES = ("config.json", "model.safetensors")

DEPTH = WeightFiles(_FILES, 99_200_000, repo="depth-anything/Depth-Anything-V2-Small-hf", revision="main")
"""How near things are (Apache-2.0)."""

PEOPLE = WeightFiles(_FILES, 80_900_000, repo="PekingU/rtdetr_r18vd", revision="main")
"""Where people are (Apache-2.0)."""

JOINTS = WeightFiles(_FILES, 343_700_000, repo="usyd-community/vitpose-base-simple", revision="main")
"""Where the joints of a person are (Apache-2.0)."""

"""A VACE transformer small enough for whole runs, and what it is run on."""

from __future__ import annotations

from tests.lora.making import noise
from wan_core.models.dit.config import DiTConfig
from wan_core.pipelines.prompt_encoding import PromptEmbeds

CONFIG = DiTConfig(
    dim=48,
    ffn_dim=96,
    num_heads=4,
    num_layers=4,
    text_dim=32,
    freq_dim=16,
    vace_in_dim=24,
    vace_layers=(0, 2),
)
SHAPE = (1, 16, 2, 4, 4)
"""Of the latents."""

PROMPTS = PromptEmbeds(noise(1, 5, 32, seed=3), noise(1, 2, 32, seed=4))

"""The tiny decoder for previews, where a person has put its file into a folder of models."""

from __future__ import annotations

import logging

import torch

from wan_core.manager.checkpoint_file import open_checkpoint
from wan_core.manager.found_file import FoundFile
from wan_core.manager.library import Library
from wan_core.models.tiny_vae.checkpoint import GROWING, PREFIX, infer_config
from wan_core.models.tiny_vae.model import TinyDecoder
from wan_core.schema import WeightsError

_log = logging.getLogger(__name__)

_NAME = "taew21"
"""What the file's name has in it, in letters and digits: other models' tiny decoders have the same sizes."""


class TinyDecoders:
    """Finds the decoder and keeps it loaded; it is a few megabytes."""

    def __init__(self) -> None:
        self._found: FoundFile | None = None
        self._decoder: TinyDecoder | None = None

    def lend(self, library: Library, device: torch.device) -> TinyDecoder | None:
        """The decoder on its device; None if there is no file of one, or a damaged one, which is logged."""
        found = find_tiny_decoder(library)
        if found != self._found:
            self._found, self._decoder = found, None
            if found is not None:
                try:
                    self._decoder = load_tiny_decoder(found)
                except WeightsError as error:
                    _log.warning("No previews by the tiny decoder: %s", error)
        if self._decoder is None:
            return None
        return self._decoder.to(device, torch.float32 if device.type == "cpu" else torch.float16)


def find_tiny_decoder(library: Library) -> FoundFile | None:
    """The file of a tiny decoder of Wan2.1's latents, wherever models are looked for."""
    return next((f for f in library.files() if f.is_tiny_decoder and _NAME in f.words), None)


def load_tiny_decoder(found: FoundFile) -> TinyDecoder:
    """Read a tiny decoder.

    Raises:
        WeightsError: the file is damaged, not to be trusted, or none of a tiny decoder.
    """
    tensors = open_checkpoint(found.files[0])
    state = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    config = infer_config({name: tensor.shape for name, tensor in state.items()})
    with torch.device("meta"):
        decoder = TinyDecoder(config)
    for place, factor in GROWING.items():  # files may grow more frames than these models have: the last stay
        name = f"{PREFIX}{place}.conv.weight"
        if name in state:
            state[name] = state[name][-state[name].shape[1] * factor :]
    try:
        decoder.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{found.files[0]} is no whole tiny decoder; download it again.") from error
    return decoder.eval().requires_grad_(False)

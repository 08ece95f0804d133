"""Other programs that run these models, and what is measured of each: one row per program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from wan_core.bench import rivals, rivals_diffsynth
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.model import WanVAE
from wan_core.schema import InvalidRequest

DOES_NOT_RUN = (ImportError, AttributeError, TypeError, ValueError, RuntimeError)
"""What a peer raises whose release, or what it needs, is not the one that it was written down for."""


@dataclass(frozen=True)
class Peer:
    """A program that is measured beside ours, from our weights.

    Attributes:
        packages: Python packages that it is imported from.
        install: the command that brings it, and no other torch.
        dit: transformer, whether compiled -> a call of it.
        decode: VAE, whether compiled -> decoding.
        text: umT5, whether compiled -> a call of it.
        save: transformer, folder -> what loads it from a file.
    """

    name: str
    packages: tuple[str, ...]
    install: str
    dit: Callable[[WanDiT, bool], rivals.DiTCall]
    decode: Callable[[WanVAE, bool], Callable[[Tensor], Tensor]]
    text: Callable[[nn.Module, bool], rivals.TextCall]
    save: Callable[[WanDiT, Path], Callable[[], object]]

    @property
    def compiled(self) -> str:
        """What it is called in figures where its models are compiled."""
        return f"{self.name}, compiled"

    @property
    def version(self) -> str:
        """Which release is installed."""
        try:
            return version(self.packages[0])
        except PackageNotFoundError:  # a folder of sources
            return "of unknown version"

    def require(self) -> None:
        """Raise ``InvalidRequest`` where it is not installed."""
        for package in self.packages:
            if find_spec(package) is None:
                raise InvalidRequest(
                    "against", f"the Python package {package} is not installed", f"Run: {self.install}"
                )


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="diffusers",
            packages=("diffusers",),
            install="pip install diffusers",
            dit=rivals.dit_call,
            decode=rivals.decoding,
            text=rivals.text_call,
            save=rivals.save_rival,
        ),
        Peer(
            name="diffsynth",
            packages=("diffsynth", "einops"),
            install="pip install --no-deps diffsynth einops",
            dit=rivals_diffsynth.dit_call,
            decode=rivals_diffsynth.decoding,
            text=rivals_diffsynth.text_call,
            save=rivals_diffsynth.save_rival,
        ),
    )
}
"""Name -> program, in the order in which they run."""

"""``python -m wan_core export``: a finished video in another format."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from wan_core.cli_request import add_request_options, format_of
from wan_core.manager.kept_settings import KeptSettings
from wan_core.media.exporting import EXPORT_FORMATS, export, export_to
from wan_core.media.finishing import Enlarge
from wan_core.schema import Emit, GenerationRequest, InvalidRequest, MediaError, ProgressEvent, Settings
from wan_core.schema.output import OutputOptions

_OPTIONS = (
    "codec",
    "crf",
    "interpolate_fps",
    "upscale",
    "upscaler",
    "loop_count",
    "ping_pong",
    "keep_audio",
    "embed_metadata",
)


class Progress(Protocol):
    """Shows how far an upscaler is."""

    def __call__(self, event: ProgressEvent) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the line."""


def add_export(commands: argparse._SubParsersAction, progress: Callable[[], Progress]) -> None:
    """The command and its options."""
    text = "write a finished video in another format, without making it anew"
    parser = commands.add_parser("export", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("file", type=Path, help="a video, GIF or WebP, or PNG frames in a ZIP or folder")
    parser.add_argument(
        "--format", choices=EXPORT_FORMATS, help="what to write (default: what the output's name says)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="replaced if it exists (default: a new one beside it)",
    )
    add_request_options(parser, only=_OPTIONS)
    parser.add_argument("--home", type=Path, help="where upscalers are looked for (default: ~/.wan-studio)")
    parser.add_argument(
        "--device", default="auto", help="where an upscaler runs: auto, cpu, cuda, cuda:1, mps"
    )
    parser.set_defaults(run=partial(_export, progress))


def _export(progress: Callable[[], Progress], options: argparse.Namespace) -> int:
    output, format = options.output, options.format
    if format is None and output is not None:
        format = "last-frame" if output.suffix.lower() == ".png" else format_of(output)
    if format is None:
        raise InvalidRequest("format", "none is given", f"Choose one of {', '.join(EXPORT_FORMATS)}.")
    given = {name: value for name, value in vars(options).items() if name in _OPTIONS}
    checked = GenerationRequest.parse(given)
    chosen = OutputOptions(**{name: getattr(checked, name) for name in _OPTIONS})
    if not options.file.exists():
        raise MediaError(f"{options.file} cannot be opened; check that it exists.")
    shown = progress()
    try:
        enlarge = _upscaler(chosen, options, shown) if format != "last-frame" else None
        if output is None:
            made = export(options.file, format, options.file.resolve().parent, chosen, enlarge)
        else:
            made = export_to(options.file, format, output, chosen, enlarge)
    finally:
        shown.close()
    sys.stdout.write(f"{made}\n")
    return 0


def _upscaler(chosen: OutputOptions, options: argparse.Namespace, emit: Emit) -> Enlarge | None:
    """What enlarges, opened; None where Lanczos does."""
    if not chosen.upscaler:
        return None
    from wan_core.manager.devices import choose_device
    from wan_core.manager.upscalers import open_upscaler

    home = {"home": options.home} if options.home else {}
    settings = KeptSettings(Settings(device=options.device, **home)).current
    return open_upscaler(chosen, settings, choose_device(settings.device), emit)

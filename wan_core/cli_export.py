"""``python -m wan_core export``: a finished video in another format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wan_core.cli_request import add_request_options, format_of
from wan_core.media.exporting import EXPORT_FORMATS, export, export_to
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError
from wan_core.schema.output import OutputOptions

_OPTIONS = (
    "codec",
    "crf",
    "interpolate_fps",
    "upscale",
    "loop_count",
    "ping_pong",
    "keep_audio",
    "embed_metadata",
)


def add_export(commands: argparse._SubParsersAction) -> None:
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
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
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
    if output is None:
        made = export(options.file, format, options.file.resolve().parent, chosen)
    else:
        made = export_to(options.file, format, output, chosen)
    sys.stdout.write(f"{made}\n")
    return 0

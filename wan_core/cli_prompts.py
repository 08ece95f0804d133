"""Prompts on the command line: options of ``generate``, and the commands ``presets`` and ``enhance``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from wan_core.catalog import find_model
from wan_core.prompts.enhancer import Enhancer
from wan_core.prompts.presets import PresetStore
from wan_core.prompts.styles import dress
from wan_core.prompts.templates import require_wildcards
from wan_core.schema import GenerationRequest, InvalidRequest, Settings


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """``--preset`` and ``--style``; what they leave out or add is seen in the result's request."""
    group = parser.add_argument_group("prompting")
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="settings saved in the studio; options given here stand above them (NAME or TAB/NAME)",
    )
    group.add_argument(
        "--style",
        metavar="NAME",
        action="append",
        default=[],
        help="words around the prompt; several are put around each other in this order",
    )


def preset_values(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """The request fields of the preset that is asked for.

    Raises:
        InvalidRequest: there is none of this name.
    """
    return PresetStore(settings.presets_dir).find(options.preset) if options.preset else {}


def styled(request: GenerationRequest, options: argparse.Namespace, settings: Settings) -> GenerationRequest:
    """The request with the words of the styles that are asked for.

    Raises:
        InvalidRequest: there is no such style, or no wildcard file that the prompt names.
    """
    store = PresetStore(settings.presets_dir)
    styles = [store.find_style(name) for name in options.style]
    if styles:
        negative = request.negative_prompt
        if negative is None:
            negative = find_model(request.model).defaults.negative_prompt
        prompt, negative = dress(styles, request.prompt, negative)
        request = request.model_copy(update={"prompt": prompt, "negative_prompt": negative})
    require_wildcards(request, settings.wildcards_dir)
    return request


def add_presets_options(parser: argparse.ArgumentParser) -> None:
    """What ``presets`` does."""
    parser.add_argument("action", nargs="?", choices=("list", "export", "import"), default="list")
    parser.add_argument("file", nargs="?", type=Path, help="what to write, or to take in")


def run_presets(options: argparse.Namespace, settings: Settings) -> int:
    """List presets and styles, write them to a file, or take those of a file in.

    Raises:
        InvalidRequest: no file is named, or it holds no presets.
    """
    store = PresetStore(settings.presets_dir)
    if options.action == "list":
        for tab in store.tabs():
            for name in store.names(tab):
                sys.stdout.write(f"preset  {tab}/{name}\n")
        for style in store.styles():
            sys.stdout.write(f"style   {style.name}: {style.prompt}\n")
        return 0
    if options.file is None:
        raise InvalidRequest("file", "none is named", f"Write: presets {options.action} FILE.")
    try:
        if options.action == "export":
            options.file.write_text(store.export() + "\n", encoding="utf-8")
            return 0
        presets, styles = store.take_in(options.file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise InvalidRequest("file", f"{options.file} cannot be used ({error})", "Name another.") from error
    sys.stdout.write(f"{presets} presets and {styles} styles are here now.\n")
    return 0


def add_enhance_options(parser: argparse.ArgumentParser) -> None:
    """What ``enhance`` is given."""
    parser.add_argument("idea", help="a few words; what is written out goes to standard output")
    parser.add_argument("--with-picture", action="store_true", help="the clip begins with a given picture")


def run_enhance(options: argparse.Namespace, settings: Settings) -> int:
    """Write an idea out, by whom the studio's Settings say.

    Raises:
        EnhancementFailed: nobody is set to, or nothing came of it.
    """
    words = Enhancer(settings.home).enhance(options.idea, options.with_picture)
    sys.stdout.write(f"{words}\n")
    return 0

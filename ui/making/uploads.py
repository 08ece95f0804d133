"""Components that hand over what they were given, untouched: our own code judges it.

Gradio's own open pictures, convert videos and refuse choices before a handler is called, and fail there in
their own words.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder
from PIL import Image

from ui.links import PLACING, name_of
from wan_core.media.read import read_opacity
from wan_core.schema import MediaError


class Picture(gr.Image):
    """A picture of any kind; its value is a path."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        return payload and payload.path

    def postprocess(self, value: str | None) -> Any:
        return _file(value, self.data_model)


class Clip(gr.Video):
    """A video of any kind; its value is a path."""

    is_template = True

    def preprocess(self, payload: FileData | None) -> str | None:
        return payload and payload.path

    def postprocess(self, value: str | None) -> FileData | None:
        return _file(value, FileData)


class Drawing(gr.ImageEditor):
    """Layers painted on a picture. What a browser sends as one is decoded as carefully as any other picture;
    the picture itself, and what they add up to, are not looked at.
    """

    is_template = True

    def convert_and_format_image(
        self, file: FileData | bytes | None, flatten_on_white: bool = False
    ) -> Image.Image | None:
        if file is None or flatten_on_white:  # what is flattened are the picture and the sum
            return None
        try:
            return _layer(file)
        except MediaError:
            return None


class OneOf(gr.Dropdown):
    """One of several; what is offered may change, in the browser alone."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Given(Api):
    """What an endpoint is given or gives; an address stays an address, which gradio would fetch."""

    is_template = True

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> Any:
        return url_or_file_path and str(url_or_file_path)

    def example_payload(self) -> Any:
        return self.api_info().get("example", self.value)

    def example_value(self) -> Any:
        return self.example_payload()


def in_browser(update: Any, part: gr.components.Component, link: Callable[[Path], str | None]) -> Any:
    """An update as the browser takes it from its own scripts: choices are pairs of title and value, and a
    file is its place and its address, which ``link`` tells.
    """
    if not isinstance(update, dict):
        return gr.update(value=update)
    changed = dict(update)
    if "choices" in changed:
        changed["choices"] = [
            choice if isinstance(choice, tuple) else (str(choice), choice) for choice in changed["choices"]
        ]
    if changed.get("value") and isinstance(part, Picture | Clip | gr.File):
        paths = changed["value"]
        files = [described(Path(path), link) for path in ([paths] if isinstance(paths, str) else paths)]
        changed["value"] = files[0] if isinstance(paths, str) else files
    return changed


def uploaded(given: Any) -> Path:
    """The file that somebody has uploaded; ``given`` is what the upload returned, or has it as ``path``.

    It may come from anybody: no other file of this machine is ever opened for it, and nothing is fetched.

    Raises:
        MediaError: it was not uploaded here, or is gone again.
    """
    told = given.get("path") if isinstance(given, dict) else given
    return _among_uploads(PLACING.get()(told) if isinstance(told, str) else None, told)


def _among_uploads(place: Path | None, told: Any) -> Path:
    """The file at a place, if it was uploaded here; ``told`` is what it was called.

    Raises:
        MediaError: it was not.
    """
    try:
        path = place and place.resolve()
        if path and path.is_relative_to(Path(get_upload_folder()).resolve()) and path.is_file():
            return path
    except (ValueError, OSError):
        pass
    raise MediaError(f"{str(told)[:80]!r} is no file that was uploaded here; upload it first.")


def described(path: Path, link: Callable[[Path], str | None]) -> dict[str, Any]:
    """A served file as gradio's browser and clients take it; ``link`` tells its address."""
    return {
        "path": name_of(path),
        "url": link(path),
        "orig_name": path.name,
        "size": path.stat().st_size,
        "meta": {"_type": "gradio.FileData"},
    }


def _layer(sent: FileData | bytes) -> Image.Image:
    """A painted layer, of which only where it is opaque counts.

    Raises:
        MediaError: it is no picture, or too large.
    """
    if isinstance(sent, FileData):
        opacity = read_opacity(_among_uploads(Path(sent.path), sent.path))  # the gate knows whose it is
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "layer.png")
            path.write_bytes(sent)
            opacity = read_opacity(path)
    layer = Image.new("RGBA", opacity.shape[::-1])
    layer.putalpha(Image.fromarray(opacity))
    return layer


def _file(path: str | None, model: Any) -> Any:
    return model(path=str(path), orig_name=str(path).rsplit("/", 1)[-1]) if path else None

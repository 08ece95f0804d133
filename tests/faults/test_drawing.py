"""What a browser sends as a painted layer is decoded like any other picture: confined, and bounded."""

from __future__ import annotations

import io
import time

import gradio as gr
import numpy as np
import pytest
from gradio.components.image_editor import EditorData, EditorDataBlobs
from gradio.data_classes import FileData
from PIL import Image

from tests.faults.corpus.pictures import png
from ui.making.masking import painted
from ui.making.uploads import Drawing

pytestmark = pytest.mark.faults


def sent(*layers: bytes) -> dict:
    """What a handler gets when these bytes come as layers, with a bomb as the picture and as the sum."""
    with gr.Blocks():
        drawing = Drawing(type="pil")
    bomb = png(13000, 13000, b"")
    drawing.blob_storage["a"] = EditorDataBlobs(background=bomb, layers=list(layers), composite=bomb)
    return drawing.preprocess(EditorData(background=None, layers=[], composite=None, id="a"))


def test_a_layer_is_where_it_is_opaque() -> None:
    whole = np.zeros((16, 32, 4), np.uint8)
    whole[4:8, 10:14] = 255
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "PNG")
    mask = painted(sent(file.getvalue()))
    assert np.array_equal(mask, whole[..., 3])


@pytest.mark.parametrize(
    "layer",
    [
        png(13000, 13000, b""),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
        b"",
        b"<svg/>",
        b"\x89PNG",
    ],
    ids=["bomb", "postscript", "nothing", "svg", "cut"],
)
def test_what_is_no_layer_paints_nothing(layer: bytes) -> None:
    begun = time.monotonic()
    assert painted(sent(layer)) is None
    assert time.monotonic() - begun < 10


def test_a_layer_is_no_file_of_this_machine() -> None:
    with gr.Blocks():
        drawing = Drawing(type="pil")
    assert drawing.convert_and_format_image(FileData(path="/etc/hostname", orig_name="a.png")) is None

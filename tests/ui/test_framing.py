"""What a model will see of what is given, without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.ui.test_form import values
from ui.context import Context
from ui.making import framing, preflight
from ui.strings import ENGLISH
from ui.tabs.plans import plan_of
from wan_core.catalog import find_model
from wan_core.media.write import write_video


def test_the_input_decides_the_shape_and_what_is_cut_is_told(context: Context, tmp_path: Path) -> None:
    picture, plan = tmp_path / "wide.png", plan_of("i2v")
    Image.new("RGB", (900, 600)).save(picture)
    spec = find_model("wan2.1-i2v-14b-480p")
    form_values = {**values(spec.id), "image": str(picture), "match_input": True, "fit": "crop"}
    assert preflight.foreseen(plan, form_values, context).width == 768
    assert "768×512" in preflight.preflight_html(plan, form_values, context)
    request = preflight.foreseen(plan, {**form_values, "match_input": False, "aspect": "1:1"}, context)
    seen = framing.seen_html(request, form_values, {"image"}, ENGLISH)
    assert "What the model sees, 624×624, 33 % cut away:" in seen
    assert seen.count("<img") == 1
    bordered = framing.seen_html(request.model_copy(update={"fit": "fit"}), form_values, {"image"}, ENGLISH)
    assert "33 % of it border" in bordered
    whole = framing.seen_html(preflight.foreseen(plan, form_values, context), form_values, {"image"}, ENGLISH)
    assert whole == '<p class="caption">The model sees all of it, at 768×512.</p><div class="thumbs"></div>'
    picture.write_text("no picture")
    assert "alert" in preflight.preflight_html(plan, {**form_values, "image": str(picture)}, context)


def test_what_is_painted_around_a_video_belongs_to_its_shape(context: Context, tmp_path: Path) -> None:
    plan, clip = plan_of("control"), tmp_path / "clip.mp4"
    write_video([np.zeros((2, 480, 480, 3), np.uint8)], clip, 16, 30, {})
    spec = find_model("wan2.1-vace-1.3b")
    given = {"video": str(clip), "match_input": True, "fit": "crop", "mask_builder": "outpaint"}
    sides = {"left": 0, "top": 0, "right": 75, "bottom": 0}
    form_values = {**values(spec.id), **given, **sides}
    request = preflight.foreseen(plan, form_values, context)
    assert (request.width, request.height) == (832, 480)
    assert "sees, 475×480, 1 % cut away" in framing.seen_html(request, form_values, {"video"}, ENGLISH)


def test_a_model_of_one_size_keeps_it_whatever_is_given(context: Context, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video([np.zeros((2, 64, 64, 3), np.uint8)], clip, 16, 30, {})
    form_values = {**values("recammaster-1.3b"), "video": str(clip), "fit": "crop", "camera_path": "zoom-in"}
    request = preflight.foreseen(plan_of("control"), form_values, context)
    assert (request.width, request.height) == (832, 480)

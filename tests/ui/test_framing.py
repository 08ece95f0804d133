"""What a model will see of what is given, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.ui.test_form import values
from ui.context import Context
from ui.making import cropping, preflight, seeing
from ui.tabs.plans import plan_of
from wan_core.catalog import find_model
from wan_core.media.write import write_video
from wan_core.schema.crops import Crops


def test_the_input_decides_the_shape_and_what_is_cut_is_told(context: Context, tmp_path: Path) -> None:
    picture, plan = tmp_path / "wide.png", plan_of("i2v")
    Image.new("RGB", (900, 600)).save(picture)
    spec = find_model("wan2.1-i2v-14b-480p")
    form_values = {**values(spec.id), "image": str(picture), "match_input": True, "fit": "crop"}
    assert preflight.foreseen(plan, form_values, context).width == 768
    assert "768×512" in preflight.preflight_html(plan, form_values, context)
    whole = seeing.value(plan, spec, form_values, context)
    assert whole["told"] == '<p class="caption">The model sees all of it, at 768×512.</p>'
    assert whole["shown"] == ""
    square = {**form_values, "match_input": False, "aspect": "1:1"}
    seen = seeing.value(plan, spec, square, context)
    assert "What the model sees: 624×624, 33 % cut away." in seen["told"]
    assert seen["shown"] == ""  # the frame shows it
    bordered = seeing.value(plan, spec, {**square, "fit": "fit"}, context)
    assert "33 % of it border" in bordered["told"]
    assert bordered["shown"].count("<img") == 1
    picture.write_text("no picture")
    assert "alert" in preflight.preflight_html(plan, form_values, context)


def test_what_a_frame_is_drawn_on(context: Context, tmp_path: Path) -> None:
    picture, plan = tmp_path / "wide.png", plan_of("flf2v")
    Image.new("RGB", (900, 600)).save(picture)
    spec = find_model("wan2.1-flf2v-14b-720p")
    form_values = {**values(spec.id), "image": str(picture), "last_image": str(picture), "fit": "crop"}
    first, last = seeing.value(plan, spec, {**form_values, "match_input": True}, context)["views"]
    assert (first["field"], first["title"], first["width"], first["height"]) == ("image", "Image", 900, 600)
    assert first["src"].startswith("data:image/webp;base64,")
    assert first["aspect"] is None  # the clip takes its shape
    assert last["aspect"] == 1168 / 768  # the clip's
    mark = {"of": first["of"], "box": [0.25, 0, 0.75, 1]}
    cropped = {**form_values, "match_input": True, "crops": {"crops": {"image": mark}}}
    told = seeing.value(plan, spec, cropped, context)
    request = preflight.foreseen(plan, cropped, context)
    assert (request.width, request.height) == (816, 1104)  # the shape of the part, 450 by 600
    assert [view["aspect"] for view in told["views"]] == [None, 816 / 1104]
    assert told["crops"] == {"image": mark}
    assert "cut away" in told["told"]
    narrow = {**cropped, "crops": {"crops": {"image": {**mark, "box": [0, 0, 0.05, 1]}}}}
    assert "45x600 pixels" in preflight.preflight_html(plan, narrow, context)
    told = seeing.value(plan, spec, narrow, context)
    assert (told["told"], len(told["views"])) == ("", 2)  # so that another can be drawn


def test_a_box_is_for_the_file_that_it_was_drawn_on(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    for path in (one, other):
        Image.new("RGB", (90, 60)).save(path)
    held = {"crops": {"image": {"of": cropping.mark_of(str(one)), "box": [0, 0, 0.5, 1]}}}
    assert cropping.to_field({"image": str(one), "crops": held}) == {"image": [0, 0, 0.5, 1]}
    assert cropping.to_field({"image": str(other), "crops": held}) == {}
    assert cropping.to_field({"image": None, "crops": held}) == {}
    crops = Crops.model_validate(cropping.to_field({"image": str(one), "crops": held}))
    assert cropping.to_held(crops, {"image": str(one)}) == held
    assert cropping.to_held(crops, {"image": None}) == cropping.to_held(None, {}) == {"crops": {}}


@pytest.mark.parametrize(
    "held", [None, [], "x", {}, *({"crops": held} for held in (1, {"image": 2}, {"image": {}}))]
)
def test_a_browser_may_send_anything_as_boxes(held: Any, tmp_path: Path) -> None:
    assert cropping.to_field({"image": str(tmp_path / "a.png"), "crops": held}) == {}


def test_what_is_painted_around_a_video_belongs_to_its_shape(context: Context, tmp_path: Path) -> None:
    plan, clip = plan_of("control"), tmp_path / "clip.mp4"
    write_video([np.zeros((2, 480, 480, 3), np.uint8)], clip, 16, 30, {})
    spec = find_model("wan2.1-vace-1.3b")
    given = {"video": str(clip), "match_input": True, "fit": "crop", "mask_builder": "outpaint"}
    sides = {"left": 0, "top": 0, "right": 75, "bottom": 0}
    form_values = {**values(spec.id), **given, **sides}
    request = preflight.foreseen(plan, form_values, context)
    assert (request.width, request.height) == (832, 480)
    assert "sees: 475×480, 1 % cut away." in seeing.value(plan, spec, form_values, context)["told"]


def test_a_model_of_one_size_keeps_it_whatever_is_given(context: Context, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_video([np.zeros((2, 64, 64, 3), np.uint8)], clip, 16, 30, {})
    form_values = {**values("recammaster-1.3b"), "video": str(clip), "fit": "crop", "camera_path": "zoom-in"}
    request = preflight.foreseen(plan_of("control"), form_values, context)
    assert (request.width, request.height) == (832, 480)

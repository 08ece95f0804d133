"""The curve of cost finds the law that figures were made by, and its picture shows each of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.growth_plot import draw
from wan_core.bench.growth import BY_FRAMES, BY_PIXELS, Clip, fitted

CLIPS = list(dict.fromkeys([*BY_FRAMES, *BY_PIXELS]))
PASSES = [clip for clip in CLIPS if clip.part == "pass"]
DECODINGS = [clip for clip in CLIPS if clip.part == "decoding"]


def seconds(clip: Clip) -> float:
    if clip.part == "pass":
        return 2e-4 * clip.tokens + 5e-8 * clip.tokens**2
    return 4e-5 * clip.frames * clip.width * clip.height


def test_a_clip_is_known_again_by_its_name() -> None:
    assert [Clip.of(clip.name) for clip in CLIPS] == CLIPS
    assert Clip("pass", 81, 832, 480).tokens == 32760


@pytest.mark.parametrize("clips", [PASSES, DECODINGS])
def test_the_law_behind_the_figures_is_found(clips: list[Clip]) -> None:
    predicted = fitted(clips, [seconds(clip) for clip in clips])
    large = Clip(clips[0].part, 81, 832, 480)
    assert predicted(large) == pytest.approx(seconds(large), rel=1e-6)


def test_the_picture_has_a_dot_for_every_figure_and_two_lines_for_each_part(tmp_path: Path) -> None:
    draw(tmp_path / "growth.svg", {clip.name: seconds(clip) for clip in CLIPS})
    picture = ElementTree.parse(tmp_path / "growth.svg").getroot()
    named = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert named.count("circle") == len(BY_FRAMES) + len(BY_PIXELS)
    assert named.count("polyline") == 2 * 2 * 2
    assert "NaN" not in ElementTree.tostring(picture, encoding="unicode")

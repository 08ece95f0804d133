"""The Output fold: what it offers on this machine, and what the panel shows of each format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ui.making import form
from ui.result import stage
from ui.strings import ENGLISH
from wan_core.media import encoders
from wan_core.media.write import write_clip, write_image
from wan_core.schema import GenerationRequest, GenerationResult
from wan_core.schema.output import SUFFIXES, OutputOptions


def titles(name: str) -> dict[str, str]:
    built = form.control(name, GenerationRequest.model_fields[name].default, "t2v", ENGLISH)
    return {value: title for title, value in built.choices}


def test_codecs_and_formats_have_names() -> None:
    assert titles("video_format") == {
        "mp4": "MP4",
        "webm": "WebM",
        "gif": "GIF",
        "webp": "WebP",
        "png": "PNG frames in a ZIP",
        "png-folder": "PNG frames in a folder",
    }
    plain = {value: title for value, title in titles("codec").items() if "nvenc" not in value}
    assert plain == {"auto": "Auto", "h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1"}


def test_what_this_machine_cannot_do_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "listed_encoders", lambda: frozenset({"libx264"}))
    assert titles("codec")["hevc"] == "HEVC (not on this machine)"
    assert titles("codec")["h264"] == "H.264"
    assert titles("video_format")["gif"] == "GIF (not on this machine)"


def test_the_file_name_is_one_line() -> None:
    assert form.control("filename", "", "t2v", ENGLISH).max_lines == 1


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_browser_is_shown_what_it_can_show(tmp_path: Path, format: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    path, poster = tmp_path / f"a{SUFFIXES[format]}", tmp_path / "a.poster.webp"
    write_clip([frames], path, 8, OutputOptions(video_format=format), {})
    write_image(frames[0], poster, "webp", {})
    result = GenerationResult(
        video=path, thumbnail=poster, request=GenerationRequest(), seconds={}, peak_bytes=0
    )
    assert stage.shown(result) == (poster if format.startswith("png") else path)
    assert not stage.is_picture(path)
    assert stage.is_picture(poster)

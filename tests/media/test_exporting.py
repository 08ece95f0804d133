"""A finished video in other formats: the same frames, settings and sound, however it was kept."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.making import ffmpeg, told
from tests.media.test_formats import animation, ball
from wan_core.media.audio import sound_of
from wan_core.media.exporting import EXPORT_FORMATS, export, export_to
from wan_core.media.metadata import read_metadata, read_request, request_metadata
from wan_core.media.read import probe, read_image, read_video
from wan_core.media.write import write_clip, write_image
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError
from wan_core.schema.output import SUFFIXES, OutputOptions

REQUEST = GenerationRequest(prompt="一只猫", seed=7, fps=8)
EXACT = {"mp4": 4, "webm": 4, "gif": 30, "webp": 0, "png": 0, "png-folder": 0}
"""What a frame's pixels may be off by on average, out of a lossless file of the format."""


def made(folder: Path, format: str, frames: np.ndarray | None = None) -> Path:
    path = folder / f"a{SUFFIXES[format]}"
    options = OutputOptions(video_format=format, crf=0)
    write_clip([ball() if frames is None else frames], path, 8, options, request_metadata(REQUEST))
    return path


def frames_of(path: Path) -> tuple[np.ndarray, float | None]:
    if path.is_dir():
        return np.stack([read_image(each) for each in sorted(path.glob("*.png"))]), None
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".png"))
            return np.stack([np.asarray(Image.open(archive.open(name))) for name in names]), None
    if path.suffix == ".webp":
        frames, durations, _ = animation(path)
        return np.stack(frames), 1000 / np.mean(durations)
    clip = read_video(path)
    return clip.frames, clip.fps


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_every_format_becomes_every_other(tmp_path: Path, source: str, format: str) -> None:
    result = made(tmp_path, source)
    path = export(result, format, tmp_path / "out")
    assert (path.suffix, path.parent.name) == (SUFFIXES[format], "out")
    frames, fps = frames_of(path)
    assert frames.shape == (9, 48, 64, 3)
    assert fps is None or fps == pytest.approx(8, abs=0.1 if path.suffix == ".gif" else 0.01)
    assert np.abs(frames.astype(int) - ball()).mean() <= max(EXACT[source], EXACT[format]) + 4
    assert read_request(path) == REQUEST


@pytest.mark.parametrize("source", SUFFIXES)
def test_the_last_frame_is_a_picture_with_the_settings(tmp_path: Path, source: str) -> None:
    path = export(made(tmp_path, source), "last-frame", tmp_path / "out")
    assert path.name == "a-last.png"
    assert np.abs(read_image(path).astype(int) - ball()[-1]).mean() <= EXACT[source]
    assert read_request(path) == REQUEST


def test_an_export_takes_nobodys_name(tmp_path: Path) -> None:
    result = made(tmp_path, "mp4")
    before = result.read_bytes()
    assert export(result, "mp4", tmp_path).name == "a-2.mp4"
    assert (tmp_path / "a-2.mp4").read_bytes() == before
    assert export(result, "gif", tmp_path).name == "a-3.gif"
    assert result.read_bytes() == before


def test_options_are_done_on_the_way(tmp_path: Path) -> None:
    options = OutputOptions(interpolate_fps=16, upscale=2, ping_pong=True, codec="hevc", embed_metadata=False)
    path = export(made(tmp_path, "png"), "mp4", tmp_path, options)
    assert "Video: hevc" in told(path)
    clip = read_video(path)
    assert (clip.frames.shape, clip.fps) == ((32, 96, 128, 3), 16)
    assert read_metadata(path) == {}


def test_the_sound_goes_along(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=32x32:rate=8:duration=1"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=1", "-c:a", "aac", "-shortest", source),
    )
    path = export(source, "webm", tmp_path)
    assert "Audio: opus" in told(path)
    assert probe(path).frames == 8
    assert "Audio" not in told(export(source, "webm", tmp_path, OutputOptions(keep_audio=False)))
    assert "Audio" not in told(export(source, "gif", tmp_path))
    with sound_of(export(source, "webm", tmp_path, OutputOptions(crf=30)), 0.2, 0.5, tmp_path) as sound:
        assert sound.stat().st_size == pytest.approx(0.5 * 48000 * 4, rel=0.02)
    assert not list(tmp_path.glob(".*"))


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    with sound_of(made(tmp_path, "mp4"), 0, 1, tmp_path) as sound:
        assert sound is None


def test_of_a_picture_there_is_only_the_last_frame(tmp_path: Path) -> None:
    write_image(ball()[0], tmp_path / "a.webp", "webp", {})
    assert read_image(export(tmp_path / "a.webp", "last-frame", tmp_path)).shape == (48, 64, 3)
    for format in EXPORT_FORMATS[:-1]:
        with pytest.raises(MediaError, match=r"a\.webp is a picture"):
            export(tmp_path / "a.webp", format, tmp_path)


def test_what_cannot_be_exported_is_one_sentence(tmp_path: Path) -> None:
    result = made(tmp_path, "png")
    with pytest.raises(InvalidRequest, match="does not go into a WEBM"):
        export(result, "webm", tmp_path, OutputOptions(codec="h264"))
    with pytest.raises(MediaError, match="cannot be opened"):
        export(tmp_path / "none.mp4", "gif", tmp_path)
    data = result.read_bytes()
    place = data.index(b"frame_00003.png") + 300
    for damaged in (data[: len(data) // 2], data[:place] + b"\xff" * 400 + data[place + 400 :]):
        result.write_bytes(damaged)
        with pytest.raises(MediaError, match="damaged"):
            export(result, "gif", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="no frames"):
        export_to(tmp_path / "empty", "gif", tmp_path / "b.gif", OutputOptions())
    assert not (tmp_path / "b.gif").exists()
    assert not list(tmp_path.glob(".*"))

"""Every format and codec: what is in the file, as ffmpeg, Pillow and zipfile read it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import zipfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.media.making import told
from wan_core.media import encoders
from wan_core.media.encoders import ENCODERS, check_output, unavailable
from wan_core.media.metadata import read_metadata, read_request, request_metadata
from wan_core.media.read import probe, read_video
from wan_core.media.write import write_clip
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.output import SUFFIXES, OutputOptions

TEXT = "一只猫在月光下跳舞 🐱 = ; # \\ \" 'x' %d\n<b>two</b>\0"[:-1]
CODED = [
    ("mp4", "h264"), ("mp4", "hevc"), ("mp4", "vp9"), ("mp4", "av1"), ("webm", "vp9"), ("webm", "av1"),
]  # fmt: skip


def ball(count: int = 9) -> np.ndarray:
    """A red disc that moves 4 pixels a frame: (T, 48, 64, 3)."""
    y, x = np.mgrid[0:48, 0:64]
    discs = [(x - 10 - 4 * i) ** 2 + (y - 24) ** 2 < 64 for i in range(count)]
    return np.stack([np.where(disc[..., None], (220, 60, 50), (150, 200, 235)) for disc in discs]).astype(
        np.uint8
    )


def centre(frame: np.ndarray) -> float:
    red = frame[..., 0].astype(int) - frame[..., 2] > 50
    return float(np.nonzero(red)[1].mean())


def write(folder: Path, frames: np.ndarray, metadata: dict | None = None, **options: object) -> Path:
    chosen = OutputOptions(**options)
    path = folder / f"a{SUFFIXES[chosen.video_format]}"
    write_clip([frames[:1], frames[1:]], path, 8, chosen, metadata or {})
    assert sorted(each.name for each in folder.iterdir()) == [path.name]
    return path


def animation(path: Path) -> tuple[list[np.ndarray], list[int], object]:
    """Frames, their milliseconds, and the loop count of a GIF or WebP."""
    frames, durations = [], []
    with Image.open(path) as picture:
        loop = picture.info.get("loop")
        for frame in ImageSequence.Iterator(picture):
            frames.append(np.asarray(frame.convert("RGB")))
            durations.append(frame.info["duration"])
    return frames, durations, loop


@pytest.mark.parametrize(("format", "codec"), CODED)
def test_a_codec_is_what_was_asked_for(tmp_path: Path, format: str, codec: str) -> None:
    path = write(tmp_path, ball(), video_format=format, codec=codec, crf=10)
    assert re.search(r"Video: (\w+)", told(path))[1] == codec
    read = read_video(path)
    assert (read.frames.shape, read.fps) == ((9, 48, 64, 3), 8)
    assert np.abs(read.frames.astype(int) - ball()).mean() < 3
    assert "bt709" in told(path)


@pytest.mark.parametrize(("format", "codec"), CODED)
def test_quality_0_loses_nothing_of_grey(tmp_path: Path, format: str, codec: str) -> None:
    """Greys survive the way to YUV, so what a lossless codec gives back is what went in."""
    noise = np.random.default_rng(0).integers(20, 235, (5, 48, 64, 1), np.uint8).repeat(3, axis=-1)
    exact = write(tmp_path, noise, video_format=format, codec=codec, crf=0)
    assert np.abs(read_video(exact).frames.astype(int) - noise).max() <= 1
    rough = write(tmp_path, noise, video_format=format, codec=codec, crf=30)
    assert np.abs(read_video(rough).frames.astype(int) - noise).max() > 5


def test_hevc_is_tagged_as_apple_wants_it(tmp_path: Path) -> None:
    assert "hvc1" in told(write(tmp_path, ball(), codec="hevc"))


@pytest.mark.parametrize(("count", "loop"), [(0, 0), (1, None), (3, 2)])
def test_a_gif_loops_as_often_as_said(tmp_path: Path, count: int, loop: int | None) -> None:
    """Of a GIF ``loop`` counts the repetitions, and is missing where there are none."""
    frames, durations, said = animation(write(tmp_path, ball(), video_format="gif", loop_count=count))
    assert (len(frames), sum(durations), said) == (9, 1130, loop)  # of 1125, in hundredths
    assert [round(centre(frame)) for frame in frames] == [10 + 4 * i for i in range(9)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_webp_loops_as_often_as_said(tmp_path: Path, count: int) -> None:
    path = write(tmp_path, ball(), video_format="webp", loop_count=count, crf=0)
    frames, durations, said = animation(path)
    assert (durations, said) == ([125] * 9, count)
    assert np.array_equal(np.stack(frames), ball())


def test_png_frames_keep_every_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    request = GenerationRequest(prompt=TEXT, seed=7)
    names = ["settings.json", *(f"frame_{number:05}.png" for number in (1, 2, 3))]
    path = write(tmp_path, noise, request_metadata(request), video_format="png")
    with zipfile.ZipFile(path) as archive:
        assert (archive.namelist(), archive.testzip()) == (names, None)
        read = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names[1:]]
        assert json.loads(archive.read("settings.json")) == read_metadata(path)
    assert np.array_equal(np.stack(read), noise)
    assert read_request(path) == request
    path.unlink()

    folder = write(tmp_path, noise, request_metadata(request), video_format="png-folder")
    assert sorted(each.name for each in folder.iterdir()) == sorted(names)
    assert all(np.array_equal(Image.open(folder / names[n + 1]), noise[n]) for n in range(3))
    assert read_request(folder) == read_request(folder / names[2]) == request
    write(tmp_path, noise[:2], video_format="png-folder")
    assert [each.name for each in sorted(folder.iterdir())] == names[1:3]


@pytest.mark.parametrize("format", SUFFIXES)
def test_the_request_is_in_every_format(tmp_path: Path, format: str) -> None:
    request = GenerationRequest(prompt=TEXT, negative_prompt="月" * 100_000, seed=7, video_format=format)
    path = write(tmp_path, ball(), request_metadata(request), video_format=format)
    assert read_request(path) == request
    if format in ("mp4", "webm", "gif"):
        assert probe(path).frames == 9
    if format in ("gif", "webp"):
        assert len(animation(path)[0]) == 9


@pytest.mark.parametrize("format", SUFFIXES)
def test_without_metadata_there_is_none(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, ball(), video_format=format)
    assert read_metadata(path) == {}


def test_a_webp_that_does_not_move_has_its_request_too(tmp_path: Path) -> None:
    still = ball(1).repeat(5, axis=0)
    path = write(tmp_path, still, request_metadata(GenerationRequest(seed=3)), video_format="webp")
    assert read_request(path).seed == 3
    with Image.open(path) as picture:
        assert picture.size == (64, 48)
        picture.load()


def test_in_between_frames_are_where_the_motion_was(tmp_path: Path) -> None:
    read = read_video(write(tmp_path, ball(), interpolate_fps=16, crf=1))
    assert (len(read.frames), read.fps) == (17, 16)
    drawn = [centre(frame) for frame in read.frames]
    assert drawn[2:] == pytest.approx([10 + 2 * i for i in range(2, 17)], abs=0.6)
    assert len(read_video(write(tmp_path, ball(), interpolate_fps=20)).frames) == 21


def test_interpolation_never_takes_frames_away(tmp_path: Path) -> None:
    read = read_video(write(tmp_path, ball(), interpolate_fps=5))
    assert (len(read.frames), read.fps) == (9, 8)
    assert len(read_video(write(tmp_path, ball(1), interpolate_fps=16)).frames) == 1


def test_enlarging_is_lanczos(tmp_path: Path) -> None:
    with zipfile.ZipFile(write(tmp_path, ball(2), video_format="png", upscale=1.5)) as archive:
        made = np.asarray(Image.open(io.BytesIO(archive.read("frame_00002.png"))))
    expected = Image.fromarray(ball(2)[1]).resize((96, 72), Image.Resampling.LANCZOS)
    assert np.array_equal(made, expected)


@pytest.mark.parametrize(("count", "order"), [(1, [0]), (2, [0, 1]), (5, [0, 1, 2, 3, 4, 3, 2, 1])])
def test_ping_pong_turns_without_a_double(tmp_path: Path, count: int, order: list[int]) -> None:
    path = write(tmp_path, ball(count), video_format="png-folder", ping_pong=True)
    frames = [np.asarray(Image.open(each)) for each in sorted(path.iterdir())]
    assert np.array_equal(np.stack(frames), ball(count)[order])


def test_ping_pong_of_many_frames_is_a_mirror(tmp_path: Path) -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(48, 1).repeat(64, 2).repeat(3, 3)
    path = write(tmp_path, frames, video_format="png-folder", ping_pong=True)
    levels = [int(np.asarray(Image.open(each))[0, 0, 0]) for each in sorted(path.iterdir())]
    assert levels == [*range(40), *range(38, 0, -1)]


def test_a_codec_of_another_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"codec: H\.264 does not go into a WEBM file\. Choose one of"):
        check_output(GenerationRequest(video_format="webm", codec="h264"))
    check_output(GenerationRequest(video_format="gif", codec="h264"))
    check_output(GenerationRequest(task="t2i", codec="av1-nvenc"))


def test_a_codec_that_is_not_there_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "listed_encoders", lambda: frozenset({"libx264", "h264_nvenc"}))
    assert unavailable("auto") == unavailable("h264") == ""
    with pytest.raises(InvalidRequest, match=r"has no libx265\. Choose one of auto, h264"):
        check_output(GenerationRequest(codec="hevc"))
    with pytest.raises(InvalidRequest, match=r"video_format: the ffmpeg of this machine has no gif"):
        check_output(GenerationRequest(video_format="gif"))


def test_a_codec_of_a_card_is_there_only_if_it_works() -> None:
    """The trial decides, whatever ffmpeg was built with."""
    encoder = ENCODERS["h264-nvenc"]
    assert encoder.name in encoders.listed_encoders()
    tried = subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "color=size=320x192"),
            *("-frames:v", "2", "-c:v", encoder.name, "-f", "null", "-"),
        ],
        capture_output=True,
        check=False,
    )
    works = tried.returncode == 0
    assert (unavailable("h264-nvenc") == "") is works
    if not works:
        with pytest.raises(InvalidRequest, match="does not work on this machine"):
            check_output(GenerationRequest(codec="h264-nvenc"))

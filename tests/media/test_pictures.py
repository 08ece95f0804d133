"""Pictures out, their request in them, thumbnails, and joined videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.making import make_video
from wan_core.media.atomic import whole_file
from wan_core.media.joining import joined_frames
from wan_core.media.metadata import read_metadata, read_request, request_metadata
from wan_core.media.naming import new_video_path
from wan_core.media.read import read_clip, read_image
from wan_core.media.write import write_image, write_thumbnail, write_video
from wan_core.schema import GenerationRequest, MediaError

FORMATS = ["png", "jpeg", "webp"]
TEXT = '一只猫 🐱 = ; # \\ " <b>\n</b> %d e\u0301'


def frame() -> np.ndarray:
    across, down = np.meshgrid(np.arange(64, dtype=np.uint8) * 3, np.arange(48, dtype=np.uint8) * 5)
    return np.stack([across, down, across // 2 + 40], axis=-1)


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_and_its_request_survive(tmp_path: Path, format: str) -> None:
    request = GenerationRequest(task="t2i", prompt=TEXT, seed=7, image_format=format)
    path = tmp_path / f"a.{format}"
    write_image(frame(), path, format, request_metadata(request))
    assert read_request(path) == request
    assert np.abs(read_image(path).astype(int) - frame()).mean() <= (0 if format == "png" else 2)
    with Image.open(path) as picture:
        assert picture.format == format.upper()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("format", FORMATS)
def test_the_longest_prompts_survive(tmp_path: Path, format: str) -> None:
    request = GenerationRequest(prompt="月" * 100_000, negative_prompt="é\n" * 50_000)
    write_image(frame(), tmp_path / "a", format, request_metadata(request))
    assert read_request(tmp_path / "a") == request


@pytest.mark.parametrize("format", FORMATS)
def test_without_metadata_there_is_none(tmp_path: Path, format: str) -> None:
    write_image(frame(), tmp_path / "a", format, {})
    assert read_metadata(tmp_path / "a") == {}
    with pytest.raises(MediaError, match="holds no settings"):
        read_request(tmp_path / "a")
    with Image.open(tmp_path / "a") as picture:
        assert "comment" not in picture.info


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_picture_has_no_metadata(tmp_path: Path, format: str) -> None:
    write_image(frame(), tmp_path / "a", format, request_metadata(GenerationRequest()))
    whole = (tmp_path / "a").read_bytes()
    for length in (0, 3, 12, 20, 40):
        (tmp_path / "a").write_bytes(whole[:length])
        assert read_metadata(tmp_path / "a") == {}


def test_names_of_pictures(tmp_path: Path) -> None:
    path = new_video_path(tmp_path, "job", ".png")
    path.touch()
    assert path.suffix == ".png"
    assert new_video_path(tmp_path, "job", ".png") != path


def test_thumbnails(tmp_path: Path) -> None:
    write_image(frame(), tmp_path / "a.png", "png", {})
    video = make_video(tmp_path / "a.mp4")
    for media in (tmp_path / "a.png", video):
        write_thumbnail(media, tmp_path / "t.webp", side=32)
        assert read_image(tmp_path / "t.webp").shape == (24, 32, 3)


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:
        partial.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def first_video(folder: Path, size: int = 32) -> Path:
    """Ten frames of brightness 20 k at 10 per second."""
    frames = np.broadcast_to(np.arange(0, 200, 20, dtype=np.uint8)[:, None, None, None], (10, size, size, 3))
    write_video([frames], folder / "first.mp4", fps=10, crf=1, metadata={})
    return folder / "first.mp4"


def chunks(*lengths: int, size: int = 32) -> Iterator[np.ndarray]:
    """Frames of brightness 201, 202 and so on."""
    value = 200
    for length in lengths:
        levels = np.arange(value + 1, value + 1 + length, dtype=np.uint8)
        yield np.broadcast_to(levels[:, None, None, None], (length, size, size, 3))
        value += length


@pytest.mark.parametrize("skip", [0, 1, 3, 5])
def test_a_video_and_its_continuation(tmp_path: Path, skip: int) -> None:
    joined = list(joined_frames(first_video(tmp_path), chunks(1, 4, 4), skip, fps=10))
    assert max(len(chunk) for chunk in joined) <= 8
    levels = np.concatenate(joined)[:, 5, 5, 0].astype(int)
    assert np.abs(levels[:10] - np.arange(0, 200, 20)).max() <= 3
    assert levels[10:].tolist() == list(range(201 + skip, 210))


def test_the_first_takes_the_size_and_the_rate_of_the_second(tmp_path: Path) -> None:
    joined = joined_frames(first_video(tmp_path, size=64), chunks(1), 0, fps=20)
    assert np.concatenate(list(joined)).shape == (21, 32, 32, 3)


def test_nothing_new_is_nothing(tmp_path: Path) -> None:
    assert list(joined_frames(first_video(tmp_path), [], 1, fps=10)) == []


def test_joining_is_written_as_it_comes(tmp_path: Path) -> None:
    frames = joined_frames(first_video(tmp_path), chunks(1, 4), 1, fps=10)
    write_video(frames, tmp_path / "joined.mp4", fps=10, crf=10, metadata={})
    assert len(read_clip(tmp_path / "joined.mp4").frames) == 14

"""Videos, posters and their metadata: exact round trips, whole files or none."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tests.full_disk import files_of_at_most
from wan_core.media.atomic import sweep_partials
from wan_core.media.metadata import read_metadata, read_request, request_metadata
from wan_core.media.naming import new_video_path
from wan_core.media.read import read_video
from wan_core.media.write import (
    animated_webp,
    require_writable,
    write_poster,
    write_video,
)
from wan_core.schema import Cancelled, GenerationRequest, MediaError

TEXT = "一只猫在月光下跳舞，电影感 🐱🎬 = ; # \\ \" 'x' %d\n<b>line two</b>\t\u2028 مرحبا e\u0301"


def clip(frames: int = 5, height: int = 48, width: int = 64) -> np.ndarray:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (height, width, 3))
    return np.stack([np.roll(picture, 4 * i, axis=1) for i in range(frames)])


def write(path: Path, frames: np.ndarray, metadata: dict | None = None, crf: int = 1) -> Path:
    write_video([frames[:1], frames[1:]], path, fps=8, crf=crf, metadata=metadata or {})
    return path


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_picture_survives(tmp_path: Path) -> None:
    frames = clip()
    read = read_video(write(tmp_path / "a.mp4", frames))
    assert read.frames.shape == frames.shape
    assert read.fps == 8
    assert np.abs(read.frames.astype(int) - frames).mean() < 3
    assert left_over(tmp_path) == ["a.mp4"]


def test_colours_survive(tmp_path: Path) -> None:
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (200, 120, 40)], np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (5, 32, 32, 3))
    read = read_video(write(tmp_path / "a.mp4", frames)).frames[:, 16, 16].astype(int)
    assert np.abs(read - colours).max() <= 3


def test_sides_are_not_rounded_to_16(tmp_path: Path) -> None:
    assert read_video(write(tmp_path / "a.mp4", clip(height=50, width=70))).frames.shape == (5, 50, 70, 3)


def test_the_index_comes_before_the_pictures(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp4", clip()).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_metadata_round_trip_is_exact(tmp_path: Path) -> None:
    request = GenerationRequest(prompt=TEXT, negative_prompt="#=;\\", seed=7, guidance_scale=6.5)
    path = write(tmp_path / "a.mp4", clip(), request_metadata(request))
    assert read_request(path) == request


def test_a_prompt_longer_than_a_command_line(tmp_path: Path) -> None:
    request = GenerationRequest(prompt="月" * 100_000)
    assert read_request(write(tmp_path / "a.mp4", clip(), request_metadata(request))) == request


def test_other_programs_read_the_comment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clip(), {"k": "v"})
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "ffmetadata", "-"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert 'comment={"k": "v"}' in text


def test_without_metadata_there_is_no_comment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clip())
    assert read_metadata(path) == {}
    with pytest.raises(MediaError, match="holds no settings"):
        read_request(path)


def test_settings_of_a_newer_version_are_read_as_far_as_known(tmp_path: Path) -> None:
    metadata = request_metadata(GenerationRequest(prompt="a"))
    metadata["wan_studio_request"]["not_yet_invented"] = 1
    assert read_request(write(tmp_path / "a.mp4", clip(), metadata)).prompt == "a"


@pytest.mark.parametrize("cut", [0, 7, 100, 700])
def test_a_cut_file_has_no_metadata(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.mp4", clip(), {"k": "v"})
    path.write_bytes(path.read_bytes()[:cut])
    assert read_metadata(path) == {}
    with pytest.raises(MediaError):
        read_video(path)


def test_lengths_in_the_file_are_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\x7f\xff\xff\xffmoov" + b"\0\0\0\1udta" + b"\xff" * 8)
    assert read_metadata(path) == {}


def test_damaged_metadata_never_does_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clip(), request_metadata(GenerationRequest(prompt=TEXT)))
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(500):
        damaged = bytearray(whole[: whole.index(b"mdat")])
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 127, 255, chance.randrange(256)))
        path.write_bytes(damaged)
        assert isinstance(read_metadata(path), dict)
        with suppress(MediaError):
            assert isinstance(read_request(path), GenerationRequest)


@pytest.mark.parametrize("comment", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "null", '{"a": NaN}'])
def test_strange_json_is_no_metadata(tmp_path: Path, comment: str) -> None:
    path = write(tmp_path / "a.mp4", clip(), {"k": comment})
    inner = json.dumps({"k": comment}).encode()
    path.write_bytes(path.read_bytes().replace(inner, comment.encode().ljust(len(inner))))
    assert read_metadata(path).keys() <= {"a"}


def test_a_playlist_in_disguise_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "canary.mp4", clip())
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ncanary.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="is a text"):
        read_video(path)


def test_a_video_bomb_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clip())
    with pytest.raises(MediaError, match="cut it to 3 frames"):
        read_video(path, max_pixels=3 * 48 * 64)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 256, 256, 3), dtype=np.uint8)
    with files_of_at_most(20_000), pytest.raises(MediaError, match=r"a\.mp4 could not be written"):
        write(tmp_path / "a.mp4", noise)
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_at_any_point_leaves_all_or_nothing(tmp_path: Path) -> None:
    size = write(tmp_path / "whole.mp4", clip(), {"k": "v"}).stat().st_size
    (tmp_path / "whole.mp4").unlink()
    for limit in (0, 1, 30, 500, size // 2, size - 1):
        with files_of_at_most(limit), pytest.raises(MediaError, match="could not be written"):
            write(tmp_path / "a.mp4", clip(), {"k": "v"})
        with files_of_at_most(limit), pytest.raises(MediaError, match="could not be written"):
            write_poster(clip(height=1000, width=1000)[0], tmp_path / "a.webp")
        assert left_over(tmp_path) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(MediaError, match="cannot be written to"):
        require_writable(tmp_path / "out")
    with pytest.raises(MediaError, match="could not be written"):
        write(tmp_path / "out" / "a.mp4", clip())


def test_cancelling_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield clip()
        raise Cancelled

    old = write(tmp_path / "a.mp4", clip()).read_bytes()
    with pytest.raises(Cancelled):
        write_video(frames(), tmp_path / "a.mp4", fps=8, crf=20, metadata={"k": "v"})
    assert left_over(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == old


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no frames"):
        write_video([], tmp_path / "a.mp4", fps=8, crf=20, metadata={})


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, clip(), {"k": "v"}) for name in ("a.mp4", "b.mp4"))
    assert a.read_bytes() == b.read_bytes()


def test_names_are_unique_and_harmless(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = new_video_path(tmp_path, "../../猫" + "x" * 300)
        path.touch()
        names.append(path.name)
        assert path.parent == tmp_path
        assert len(path.name.encode()) <= 100
    assert len(set(names)) == 3


def test_a_folder_with_a_strange_name(tmp_path: Path) -> None:
    path = write(tmp_path / "http: 猫 %d -y" / "%03d 'a'.mp4", clip(), {"k": "v"})
    assert read_metadata(path) == {"k": "v"}
    assert len(read_video(path).frames) == 5


def test_only_old_partial_files_are_swept(tmp_path: Path) -> None:
    for name in (".old.mp4.partial", ".old.mp4.partial.txt", ".new.mp4.partial", "old.mp4"):
        (tmp_path / name).touch()
        if "old" in name:
            os.utime(tmp_path / name, (0, 0))
    sweep_partials(tmp_path)
    assert left_over(tmp_path) == [".new.mp4.partial", "old.mp4"]
    sweep_partials(tmp_path / "missing")


def test_poster_and_preview(tmp_path: Path) -> None:
    write_poster(clip()[0], tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as poster:
        assert (poster.format, poster.size) == ("WEBP", (64, 48))
    (tmp_path / "p.webp").write_bytes(animated_webp(clip(3), 250))
    with Image.open(tmp_path / "p.webp") as preview:
        preview.load()
        assert (preview.n_frames, preview.info["duration"], preview.info["loop"]) == (3, 250, 0)

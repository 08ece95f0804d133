"""Kept inputs: named by content, checked at the door, whole or not there."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.full_disk import files_of_at_most
from tests.media.making import make_video
from wan_core.media import inputs as inputs_module
from wan_core.media.inputs import InputStore
from wan_core.schema import GenerationRequest, MediaError

POSE = "0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0"


@pytest.fixture
def store(tmp_path: Path) -> InputStore:
    return InputStore(tmp_path / "home" / "inputs")


def save_picture(path: Path, value: int = 0) -> Path:
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(path)
    return path


def kept(store: InputStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir()) if store.folder.exists() else []


def test_a_name_is_the_digest_of_the_content(store: InputStore, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "猫 ; %d.jpeg")
    name = store.keep(path)
    assert name == hashlib.sha256(path.read_bytes()).hexdigest()[:32] + ".jpg"
    assert store.path(name).read_bytes() == path.read_bytes()
    assert GenerationRequest(image=name).image == name


def test_a_picture_that_is_no_file_is_kept_as_one(store: InputStore) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    name = store.keep_picture(picture)
    assert name.endswith(".png")
    assert np.array_equal(np.asarray(Image.open(store.path(name))), picture)
    assert store.keep_picture(picture) == name
    assert kept(store) == [name]


def test_the_same_content_is_kept_once(store: InputStore, tmp_path: Path) -> None:
    first, same = save_picture(tmp_path / "a.png"), save_picture(tmp_path / "b.jpg.png")
    assert store.keep(first) == store.keep(same) != store.keep(save_picture(tmp_path / "c.png", 9))
    assert len(kept(store)) == 2


def test_a_kept_file_outlives_the_one_it_came_from(store: InputStore, tmp_path: Path) -> None:
    name = store.keep(save_picture(tmp_path / "a.png"))
    (tmp_path / "a.png").unlink()
    assert store.path(name).is_file()


@pytest.mark.parametrize(("name", "extension"), [("a.mov", "mp4"), ("a.webm", "mkv"), ("a.gif", "gif")])
def test_videos(store: InputStore, tmp_path: Path, name: str, extension: str) -> None:
    name = store.keep(make_video(tmp_path / name))
    assert name.endswith(f".{extension}")
    assert store.kind(name) == "video"


def test_a_still_gif_is_a_picture(store: InputStore, tmp_path: Path) -> None:
    assert store.kind(store.keep(save_picture(tmp_path / "a.gif"))) == "image"


@pytest.mark.parametrize("title", ["", "\ufeff", "https://example.org/video\n"])
def test_camera_poses(store: InputStore, tmp_path: Path, title: str) -> None:
    text = title + f"{POSE}\n1 {POSE}\n"
    (tmp_path / "poses").write_text(text, encoding="utf-8")
    name = store.keep(tmp_path / "poses")
    assert name.endswith(".txt")
    assert store.kind(name) == "text"
    assert store.path(name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("this is no video\nat all\n", "Line 2 of the camera poses holds more than numbers; write time fx"),
        ("title\n1 2 3", "Line 2 of the camera poses has 3 numbers, not 19"),
        (f"{POSE}\n{POSE[:-1]}nan", "Line 2 of the camera poses has a number that is not finite"),
        ('{"frame0": {"cam01": "[1 0 0 0]"}}', "The file holds no camera poses; write time fx"),
        ("[" * 50_000, "The file holds no camera poses"),
        ("title only", "The file holds no camera poses"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_when_it_is_given(
    store: InputStore, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "clip.mp4").write_text(text)
    with pytest.raises(
        MediaError, match=rf"clip\.mp4 is no picture or video \(MP4.*cannot be used: {problem}"
    ):
        store.keep(tmp_path / "clip.mp4")
    assert kept(store) == []


@pytest.mark.parametrize("data", [b"", b"\0" * 99, b"\x89PNG\r\n\x1a\n\0\0", b"\0\0\0\x18ftypisom\0\0\0\0"])
def test_what_cannot_be_opened_is_refused(store: InputStore, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.png (is|holds)"):
        store.keep(tmp_path / "a.png")
    with pytest.raises(MediaError, match="cannot be opened"):
        store.keep(tmp_path / "missing.png")
    assert kept(store) == []


def test_what_is_too_large_is_refused(
    store: InputStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "MAX_BYTES", 2**20)
    with save_picture(tmp_path / "a.png").open("ab") as file:
        file.truncate(3 * 2**20)
    with pytest.raises(MediaError, match=r"a\.png has 3 MiB; the most is 1"):
        store.keep(tmp_path / "a.png")


@pytest.mark.parametrize(
    "name", ["../secret.png", "a.png", "0" * 32, "0" * 32 + ".png", "/etc/passwd", "0" * 999]
)
def test_a_name_that_was_never_given_is_refused(store: InputStore, tmp_path: Path, name: str) -> None:
    store.folder.mkdir(parents=True)
    save_picture(store.folder / ".." / "secret.png")
    with pytest.raises(MediaError, match="is gone; choose the file again"):
        store.path(name)


def test_a_request_holds_no_paths() -> None:
    with pytest.raises(ValidationError):
        GenerationRequest(image="../secret.png")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(store: InputStore, tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    Image.new("RGB", (256, 256)).save(path)
    with files_of_at_most(1000), pytest.raises(MediaError, match=r"a\.bmp could not be kept"):
        store.keep(path)
    assert kept(store) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "inputs").write_text("")
    with pytest.raises(MediaError, match="could not be kept"):
        InputStore(tmp_path / "inputs").keep(save_picture(tmp_path / "a.png"))


def test_keeping_again_makes_a_file_young(store: InputStore, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    name = store.keep(path)
    os.utime(store.path(name), (0, 0))
    assert store.keep(path) == name
    assert store.path(name).stat().st_mtime > 0


def keep_aged(store: InputStore, tmp_path: Path, days: float, value: int) -> str:
    """Keep a picture, as if some days ago."""
    name = store.keep(save_picture(tmp_path / f"{value}.png", value))
    then = time.time() - days * 86_400
    os.utime(store.path(name), (then, then))
    return name


def test_what_nobody_names_goes_oldest_first_once_there_is_too_much(
    store: InputStore, tmp_path: Path
) -> None:
    oldest, used, old, young = (
        keep_aged(store, tmp_path, days, value) for value, days in enumerate((9, 8, 7, 0.5))
    )
    sizes = {name: store.path(name).stat().st_size for name in (oldest, used, old, young)}
    total = sum(sizes.values())

    def unasked() -> set[str]:
        raise AssertionError("there is no need to look at the jobs")

    assert store.prune(unasked, limit=total) == []
    assert store.prune(lambda: {used}, limit=total - 1) == [oldest]
    assert store.prune(lambda: {used}, limit=0) == [old]
    assert sorted(kept(store)) == sorted([used, young])


def test_what_is_kept_again_is_young(store: InputStore, tmp_path: Path) -> None:
    name = keep_aged(store, tmp_path, 9, 1)
    store.keep(tmp_path / "1.png")
    assert store.prune(set, limit=0) == []
    assert kept(store) == [name]


def test_only_kept_files_are_removed(store: InputStore, tmp_path: Path) -> None:
    assert store.prune(set, limit=0) == []  # there is no folder yet
    keep_aged(store, tmp_path, 9, 1)
    (store.folder / "mine.txt").write_text("a note")
    os.utime(store.folder / "mine.txt", (0, 0))
    assert len(store.prune(set, limit=0)) == 1
    assert kept(store) == ["mine.txt"]

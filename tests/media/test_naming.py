"""File names by a template: harmless in every file system, short, and nobody else's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wan_core.media.naming import filled, new_path, new_video_path, safe_stem
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.output import NAME_FIELDS

HOSTILE = [
    *("../../etc/passwd", "/abs", "C:\\x", "a/b\\c", "..", ".", ".hidden", "...", "con", "NUL.txt", "COM1"),
    *(
        "lpt¹",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "<b>|?*:\"'",
        "  spaces  ",
        "-rf",
        "x" * 500,
        "猫" * 200,
        "🐱" * 100,
    ),
    *("e\u0301" * 90, "trailing.", "trailing ", "%s%d", "$HOME", "`id`", "{prompt}", ""),
]


def resolved(**values: object) -> GenerationRequest:
    sizes = {"width": 64, "height": 48, "num_frames": 17, "num_inference_steps": 8, "fps": 16, "seed": 7}
    return GenerationRequest(**{**sizes, **values})


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_the_folder_or_upsets_a_file_system(tmp_path: Path, text: str) -> None:
    template = "".join(char for char in text if char not in "{}\0")[:200]
    for request in (
        resolved(prompt=text.replace("\0", ""), filename="{prompt}"),
        resolved(filename=template),
    ):
        path = new_path(tmp_path, request, "job")
        assert path.parent == tmp_path
        assert path.name == Path(path.name).name
        assert not re.search(r'[\x00-\x1f/\\:*?"<>|\u202e]', path.name)
        assert not path.name.startswith((".", "-", " "))
        assert path.stem not in ("", ".", "..")
        assert path.stem.lower() not in ("con", "nul", "com1", "lpt¹", "nul.txt")
        assert not path.stem.endswith((".", " "))
        assert len(path.name.encode()) <= 100
        path.write_bytes(b"")
        assert new_path(tmp_path, request, "job") != path
        path.unlink()


def test_every_field_is_filled_in(tmp_path: Path) -> None:
    template = "-".join(f"{{{name}}}" for name in NAME_FIELDS if name not in ("date", "time"))
    request = resolved(prompt="一只猫, dancing", model="demo", task="t2v", filename=template)
    assert new_path(tmp_path, request, "ab12").name == "ab12-7-demo-t2v-一只猫, dancing-64-48-17-16-8.mp4"
    assert re.fullmatch(r"\d{8}-\d{6}", filled("{date}-{time}", {}))
    assert re.fullmatch(
        r"\d{8}-\d{6}-ab12\.webm", new_path(tmp_path, resolved(video_format="webm"), "ab12").name
    )


def test_a_prompt_is_cut_between_characters(tmp_path: Path) -> None:
    stem = new_path(tmp_path, resolved(prompt="猫" * 100, filename="{prompt}"), "job").stem
    assert stem == "猫" * 16
    assert safe_stem("é" * 100) == safe_stem("e\u0301" * 100) == "é" * 40


@pytest.mark.parametrize("template", ["{password}", "{}", "{job.__class__}", "{job!r}", "a" * 201])
def test_other_fields_are_refused(template: str) -> None:
    with pytest.raises(InvalidRequest, match="filename: "):
        GenerationRequest.parse({"filename": template})


def test_nothing_of_another_result_is_in_the_way(tmp_path: Path) -> None:
    """A poster, a sidecar or another format of the same stem takes the name, in any case of its letters."""
    request = resolved(filename="Clip 1.5")
    for taken in ("clip 1.5.gif", "Clip 1.5-2.poster.webp", "CLIP 1.5-3"):
        (tmp_path / taken).write_bytes(b"")
    assert new_path(tmp_path, request, "job").name == "Clip 1.5-4.mp4"
    assert new_path(tmp_path, resolved(filename="Clip 1"), "job").name == "Clip 1-2.mp4"


def test_many_of_the_same_name_are_all_different(tmp_path: Path) -> None:
    names = set()
    for _ in range(30):
        path = new_path(tmp_path, resolved(filename="same"), "job")
        path.write_bytes(b"")
        names.add(path.name)
    assert len(names) == 30
    assert new_video_path(tmp_path, "job").suffix == ".mp4"

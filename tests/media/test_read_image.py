"""Pictures as people have them: each is read right, or refused in one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wan_core.media.read import MediaFacts, probe, read_image, read_mask_image
from wan_core.schema import MediaError


def picture(width: int = 40, height: int = 24) -> np.ndarray:
    """(height, width, 3), every corner different."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([across * 6, down * 10, np.full_like(down, 90)], axis=-1).astype(np.uint8)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says this size and holds one row of nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 99)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("format", "most"), [("PNG", 0), ("BMP", 0), ("WEBP", 9), ("JPEG", 6), ("GIF", 30), ("AVIF", 9)]
)
def test_common_kinds_of_picture(tmp_path: Path, format: str, most: int) -> None:
    path = tmp_path / "picture.anything"
    Image.fromarray(picture()).save(path, format=format)
    assert probe(path) == MediaFacts("image", 40, 24, 1, 0.0, 0.0)
    assert np.abs(read_image(path).astype(int) - picture()).mean() <= most


def test_the_camera_is_turned(tmp_path: Path) -> None:
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    Image.fromarray(picture()).save(path, exif=exif)
    facts = probe(path)
    assert (facts.width, facts.height) == (24, 40)
    assert np.array_equal(read_image(path), np.rot90(picture(), -1))


def test_what_is_transparent_is_white_in_a_picture_and_black_in_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.full((16, 16, 4), 255, np.uint8)
    pixels[:8, :, 1:3] = 0
    pixels[:, 8:, 3] = 0
    Image.fromarray(pixels).save(path)
    read, mask = read_image(path), read_mask_image(path)
    assert read[0, 0].tolist() == [255, 0, 0]
    assert read[0, 15].tolist() == read[15, 15].tolist() == [255, 255, 255]
    assert mask[15, 0] == 255
    assert mask[0, 15] == mask[15, 15] == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a"
    Image.new("RGB", (16, 16), "white").convert(mode).save(path, format="JPEG" if mode == "CMYK" else "PNG")
    assert (read_image(path) == 255).all()
    assert (read_mask_image(path) == 255).all()


def test_grey_of_16_bits_keeps_its_brightness(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((16, 16), 0x80FF, np.uint16)).save(path)
    assert (read_image(path) == 0x80).all()
    assert (read_mask_image(path) == 0x80).all()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(tmp_path: Path, format: str, part: float) -> None:
    path = tmp_path / "holiday.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, format=format)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(MediaError, match=r"holiday\.png is"):
        read_image(path)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((1, 1), "is 1x1 pixels; choose one of at least 16x16"),
        ((300, 15), "is 300x15 pixels; choose one of at least 16x16"),
        ((176, 16), "is 176x16 pixels; crop it to sides of at most 10 to 1"),
        ((13000, 13000), "is 13000x13000 pixels; make it smaller, to at most 40 megapixels"),
        ((65000, 65000), "is a damaged picture|make it smaller"),
    ],
)
def test_sizes_that_no_model_can_use_are_refused(tmp_path: Path, size: tuple[int, int], said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_of_size(*size))
    for reader in (probe, read_image, read_mask_image):
        with pytest.raises(MediaError, match=rf"a\.png {said}"):
            reader(path)


def test_four_to_one_is_read(tmp_path: Path) -> None:
    Image.fromarray(picture(160, 40)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (40, 160, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\0" * 64, "is no picture or video of a known kind; use MP4"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n", "is no picture or video of a known kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is a text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture, which cannot be read; save it as JPEG"),
        (b"\0\0\0\x18ftypisom", "is a video; a picture is needed|is damaged"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=f"a.png ({said})"):
        read_image(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png"):
        with pytest.raises(MediaError, match="cannot be opened; check that it exists"):
            read_image(path)

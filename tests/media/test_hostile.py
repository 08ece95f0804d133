"""Files made to do harm: nothing else is opened, memory and time stay bounded, and the error is ours."""

from __future__ import annotations

import os
import random
import struct
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.making import BALL, make_video
from wan_core.media import ffmpeg as ffmpeg_module
from wan_core.media import read as read_module
from wan_core.media.ffmpeg import Decoder
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import read_metadata
from wan_core.media.read import probe, read_clip, read_image
from wan_core.schema import MediaError

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ncanary.mp4\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile canary.mp4\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet><Representation id="0" mimeType="video/mp4"><BaseURL>canary.mp4</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "remote": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "numbers": "1 2 3\n4 5 6\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("beginning", [b"", b"\0\0\0\x08free", b"RIFF\0\0\0\0AVI ", b"\x1a\x45\xdf\xa3"])
def test_a_playlist_opens_nothing(tmp_path: Path, kind: str, beginning: bytes) -> None:
    make_video(tmp_path / "canary.mp4", "-c:v", "libx264")
    path = tmp_path / "clip.mp4"
    path.write_bytes(beginning + PLAYLISTS[kind].encode())
    with pytest.raises(MediaError, match=r"clip\.mp4 (is|holds)"):
        read_clip(path)


def test_a_movie_that_points_elsewhere_opens_nothing(tmp_path: Path) -> None:
    """QuickTime can name another file that holds the pictures."""
    make_video(tmp_path / "canary.mov", "-c:v", "mjpeg")
    data = (tmp_path / "canary.mov").read_bytes()
    own = struct.pack(">I4sI", 12, b"url ", 1)
    assert own in data
    elsewhere = struct.pack(">I4sI", 12, b"url ", 0)
    path = tmp_path / "clip.mov"
    path.write_bytes(data[: data.index(b"mdat")].replace(own, elsewhere) + data[data.index(b"moov") - 4 :])
    with suppress(MediaError):
        assert not read_clip(path).frames.any()


def test_the_demuxer_and_the_decoders_are_pinned(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", "-c:v", "snow", "-strict", "-2")
    with pytest.raises(MediaError, match=r"a\.mkv is damaged, or its kind of coding is not known"):
        probe(path)
    path.write_bytes(make_video(tmp_path / "a.flv", "-c:v", "flv1").read_bytes())
    with pytest.raises(MediaError, match="known kind"):
        probe(path)


def test_a_video_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    source = "color=black:size=4096x64:rate=1:duration=2"
    path = make_video(tmp_path / "a.mkv", "-vf", "setpts=PTS*2000000", "-c:v", "ffv1", source=source)
    begun = time.monotonic()
    with pytest.raises(MediaError, match=r"4096x64 pixels|is too long|has more than"):
        read_clip(path, fps=60)
    assert time.monotonic() - begun < 5


def test_a_gap_of_hours_costs_no_memory(tmp_path: Path) -> None:
    coding = ("-vf", "setpts=N*10800/TB", "-fps_mode", "vfr", "-c:v", "ffv1")
    path = make_video(tmp_path / "a.mkv", *coding)
    assert probe(path).seconds > 3600
    with pytest.raises(MediaError, match="has more than 500000 frames"):
        read_clip(path, fps=60)
    assert read_clip(path, fps=16, max_frames=5).frames.shape == (5, 48, 64, 3)


def test_frames_beyond_the_largest_are_not_decoded(tmp_path: Path) -> None:
    source = "color=black:size=6000x3000:rate=1:duration=1"
    with pytest.raises(MediaError, match=r"a\.mkv"):
        probe(make_video(tmp_path / "a.mkv", "-c:v", "ffv1", source=source))


def test_too_many_packets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg_module, "MAX_PACKETS", 8)
    with pytest.raises(MediaError, match="more than 8 frames"):
        probe(make_video(tmp_path / "a.mkv", "-c:v", "ffv1"))


def test_a_decoder_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mkv", "-c:v", "ffv1", source=BALL)
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\nexec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(ffmpeg_module.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(stuck))
    begun = time.monotonic()
    with (
        pytest.raises(MediaError, match=r"a\.mkv takes too long to decode; cut it"),
        Decoder(path, [], ["-f", "null", "-"], patience=0.2) as decoder,
    ):
        decoder.read(10)
    assert time.monotonic() - begun < 10


def test_time_between_reads_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_module, "_DECODE_SECONDS", 2.0)
    stream = read_module.stream_clip(make_video(tmp_path / "a.mkv", "-c:v", "ffv1"))
    next(stream.frames)
    time.sleep(2.2)
    assert len(list(stream.frames)) == 9


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="cannot be opened"):
        InputStore(tmp_path / "inputs").keep(tmp_path / "a.mp4")


def test_names_are_never_options_or_patterns(tmp_path: Path) -> None:
    for name in ("-y", "%03d.mp4", "http:a.mp4", "concat:a|b.mp4", "a\nb.mp4", "猫 'x'.mp4"):
        path = make_video(tmp_path / "a.mkv", "-c:v", "ffv1").rename(tmp_path / name)
        assert probe(path).frames == 10
        path.unlink()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF"])
def test_damaged_pictures_are_one_sentence(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a"
    exif = Image.Exif()
    exif[0x010E] = "about"
    options = {} if format in ("GIF", "BMP") else {"exif": exif}
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=format, **options)
    for damaged in mutations(path.read_bytes(), 150):
        path.write_bytes(damaged)
        with suppress(MediaError):
            assert read_image(path).dtype == np.uint8
        assert isinstance(read_metadata(path), dict)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.avi", "a.gif"])
def test_damaged_videos_are_one_sentence(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / name, source="testsrc2=size=32x32:rate=5:duration=0.6")
    for damaged in mutations(path.read_bytes(), 12):
        path.write_bytes(damaged)
        with suppress(MediaError):
            assert read_clip(path, max_frames=5).frames.ndim == 4


def mutations(whole: bytes, count: int) -> list[bytes]:
    """Copies with a few bytes changed, mostly near the beginning, and some cut short."""
    chance = random.Random(len(whole))
    made = []
    for turn in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            reach = len(data) if turn % 3 == 0 else min(len(data), 400)
            data[chance.randrange(12, reach)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        made.append(bytes(data[: chance.randrange(12, len(data))] if turn % 7 == 0 else data))
    return made

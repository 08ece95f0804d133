"""Videos as people have them: each is read right, or refused in one sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tests.media.making import BALL, bars, ffmpeg, make_video
from wan_core.media.read import (
    MediaFacts,
    probe,
    read_clip,
    read_first_frame,
    read_image,
    read_last_frames,
    stream_clip,
)
from wan_core.schema import MediaError

H264 = ("-c:v", "libx264", "-crf", "1", "-pix_fmt", "yuv444p")
X265_QUIET = ("-x265-params", "log-level=error")
NOISE = "color=gray:size=32x32:rate=30000/1001:duration=4,noise=alls=100:allf=t"
FACTS = MediaFacts("video", 64, 48, 10, 10.0, 1.0)


def original(source: str = BALL) -> np.ndarray:
    """The frames (10, 48, 64, 3) that ``make_video`` starts from."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    data = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    ).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, 48, 64, 3)


def difference(frames: np.ndarray, expected: np.ndarray) -> float:
    assert frames.shape == expected.shape
    return float(np.abs(frames.astype(int) - expected).mean())


def brightness(path: Path, **cut: float) -> list[int]:
    """Which frames of ``bars`` were read, by their numbers."""
    return [round((int(frame[20, 20, 0]) - 20) / 20) for frame in read_clip(path, **cut).frames]


def make_bars(path: Path, *options: str, frames: int = 10, rate: int = 10) -> Path:
    return make_video(path, *options, "-c:v", "ffv1", "-pix_fmt", "bgr0", source=bars(32, 32, frames, rate))


@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("a.mp4", H264, 2),
        ("a.mov", H264, 2),
        ("a.mkv", ("-c:v", "ffv1", "-pix_fmt", "bgr0"), 0),
        ("hevc.mp4", ("-c:v", "libx265", "-crf", "5", "-pix_fmt", "yuv444p", *X265_QUIET), 3),
        ("ten-bit.mp4", ("-c:v", "libx265", "-crf", "5", "-pix_fmt", "yuv444p10le", *X265_QUIET), 3),
        ("ten-bit-h264.mkv", ("-c:v", "libx264", "-crf", "1", "-pix_fmt", "yuv444p10le"), 2),
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-crf", "5", "-b:v", "0", "-pix_fmt", "yuv444p"), 3),
        ("a.avi", ("-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj444p"), 4),
        ("prores.mov", ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuv444p10le"), 3),
    ],
)
def test_common_kinds_of_video(tmp_path: Path, name: str, options: tuple[str, ...], most: float) -> None:
    path = make_video(tmp_path / name, *options)
    assert probe(path) == FACTS
    clip = read_clip(path)
    assert clip.fps == 10
    assert difference(clip.frames, original()) <= most


def test_an_animated_gif_is_a_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.gif")
    assert probe(path) == FACTS
    assert read_clip(path).frames.shape == (10, 48, 64, 3)


def test_the_name_says_nothing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", *H264).rename(tmp_path / "holiday.jpg")
    assert probe(path) == FACTS


@pytest.mark.parametrize(("turn", "shape"), [(90, (64, 48)), (180, (48, 64)), (270, (64, 48))])
def test_a_phone_video_stands_upright(tmp_path: Path, turn: int, shape: tuple[int, int]) -> None:
    plain = make_video(tmp_path / "plain.mp4", *H264)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", str(turn), "-i", plain, "-c", "copy", turned)
    facts = probe(turned)
    assert (facts.height, facts.width) == shape
    expected = np.rot90(read_clip(plain).frames, turn // 90, axes=(1, 2))
    assert difference(read_clip(turned).frames, expected) < 1
    assert difference(read_first_frame(turned)[None], expected[:1]) < 1


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", "-vf", "setsar=2/1", *H264)
    assert read_clip(path).frames.shape == (10, 48, 128, 3)


@pytest.mark.parametrize("curve", ["smpte2084", "arib-std-b67"])
def test_hdr_is_brought_to_ordinary_light(tmp_path: Path, curve: str) -> None:
    plain = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p,setparams=color_primaries=bt709"
    to_hdr = (
        f"{plain}:color_trc=bt709:colorspace=bt709:range=tv,zscale=t=linear:npl=203,format=gbrpf32le,"
        f"zscale=p=bt2020,zscale=t={curve}:m=bt2020nc:r=tv:npl=203,format=yuv444p10le"
    )
    tags = f"log-level=error:colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc"
    coding = ("-c:v", "libx265", "-crf", "1", "-x265-params", tags)
    source = "color=0x808080:size=64x48:rate=10:duration=0.2"
    path = make_video(tmp_path / "a.mp4", "-vf", to_hdr, *coding, source=source)
    assert probe(path).hdr
    assert np.abs(read_clip(path).frames.astype(int) - 0x80).max() <= 6


def test_a_variable_rate_is_read_by_its_times(tmp_path: Path) -> None:
    keep = "select='lt(n,4)+not(mod(n,3))'"  # frames 0 1 2 3, then 6 and 9
    path = make_bars(tmp_path / "a.mkv", "-vf", keep, "-fps_mode", "vfr")
    assert probe(path).frames == 6
    assert brightness(path, fps=10) == [0, 1, 2, 3, 3, 3, 6, 6, 6, 9]
    assert len(read_clip(path).frames) == 6


def test_frames_are_sampled_by_time(tmp_path: Path) -> None:
    path = make_bars(tmp_path / "a.mkv")
    assert brightness(path) == list(range(10))
    assert brightness(path, fps=20) == [k // 2 for k in range(20)]
    half = brightness(path, fps=5)
    assert len(half) == 5
    assert np.diff(half).tolist() == [2] * 4
    assert brightness(path, max_frames=3) == [0, 1, 2]
    assert brightness(path, fps=20, max_frames=3) == [0, 0, 1]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0.3, 0.7, [3, 4, 5, 6]), (0.8, None, [8, 9]), (0.0, 0.1, [0]), (0.5, 99.0, [5, 6, 7, 8, 9])],
)
def test_a_part_is_cut_by_seconds(tmp_path: Path, start: float, end: float | None, expected: list) -> None:
    assert brightness(make_bars(tmp_path / "a.mkv"), start=start, end=end) == expected


@pytest.mark.parametrize(("start", "end"), [(1.0, None), (5.0, 9.0), (0.5, 0.5), (0.5, 0.2)])
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, start: float, end: float | None) -> None:
    with pytest.raises(MediaError, match=r"a\.mkv is 1\.00 s long .* choose another part"):
        read_clip(make_bars(tmp_path / "a.mkv"), start, end)


def test_two_frames_are_a_video(tmp_path: Path) -> None:
    path = make_bars(tmp_path / "a.mkv", frames=2)
    assert probe(path) == MediaFacts("video", 32, 32, 2, 10.0, 0.2)
    assert brightness(path, fps=20) == [0, 0, 1, 1]


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    path = make_bars(tmp_path / "a.mkv", frames=1)
    assert probe(path).frames == 1
    assert brightness(path) == [0]


def test_odd_rates_keep_every_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, source=NOISE)
    clip = read_clip(path)
    assert len(clip.frames) == probe(path).frames == 120
    assert clip.fps == pytest.approx(30000 / 1001)
    assert np.abs(np.diff(clip.frames.astype(int), axis=0)).max(axis=(1, 2, 3)).min() > 20  # none repeated


def test_the_last_frames(tmp_path: Path) -> None:
    path = make_bars(tmp_path / "a.mkv")
    assert [round((int(f[5, 5, 0]) - 20) / 20) for f in read_last_frames(path, 3).frames] == [7, 8, 9]
    assert len(read_last_frames(path, 99).frames) == 10


def test_a_stream_ends_its_decoder_when_it_is_left(tmp_path: Path) -> None:
    stream = stream_clip(make_bars(tmp_path / "a.mkv"))
    assert stream.expected == 10
    assert next(stream.frames).shape == (32, 32, 3)
    stream.frames.close()


def test_sound_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "aac", path)
    with pytest.raises(MediaError, match=r"a\.m4a holds no video"):
        probe(path)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "cover.png")
    path = tmp_path / "a.m4a"
    inputs = ("-f", "lavfi", "-i", "sine=duration=0.2", "-i", tmp_path / "cover.png")
    both = ("-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "aac")
    ffmpeg(*inputs, *both, "-disposition:v", "attached_pic", path)
    with pytest.raises(MediaError, match=r"a\.m4a holds no video"):
        probe(path)


def test_sound_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    inputs = ("-f", "lavfi", "-i", BALL, "-f", "lavfi", "-i", "sine=duration=1")
    ffmpeg(*inputs, *H264, "-c:a", "aac", path)
    assert probe(path) == FACTS


def test_a_picture_is_no_video_and_a_video_no_picture(tmp_path: Path) -> None:
    picture, video = tmp_path / "a.png", make_bars(tmp_path / "a.mkv")
    Image.new("RGB", (32, 32)).save(picture)
    with pytest.raises(MediaError, match=r"a\.png is a picture; a video is needed"):
        read_clip(picture)
    with pytest.raises(MediaError, match=r"a\.mkv is a video; a picture is needed"):
        read_image(video)
    assert read_first_frame(picture).shape == read_first_frame(video).shape == (32, 32, 3)


@pytest.mark.parametrize("size", ["8x32", "336x32"])
def test_sizes_that_no_model_can_use_are_refused(tmp_path: Path, size: str) -> None:
    path = make_video(tmp_path / "a.mkv", "-c:v", "ffv1", source=f"testsrc2=size={size}:rate=5:duration=0.4")
    with pytest.raises(MediaError, match=f"a.mkv is {size} pixels"):
        probe(path)


def test_of_a_truncated_video_the_whole_frames_are_read(tmp_path: Path) -> None:
    noisy = f"{BALL},noise=alls=30:allf=t"
    path = make_video(tmp_path / "a.mp4", *H264, "-bf", "0", "-movflags", "+faststart", source=noisy)
    whole, data = read_clip(path).frames, path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    read = read_clip(path).frames
    assert 3 <= len(read) <= 7
    assert np.array_equal(read, whole[: len(read)])

"""Videos: playlists that name others, bombs, cut ones, odd ones, and files that are two things at once."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.faults.corpus.case import CANARY, CANARY_RGB, Case, Shelf
from tests.media.making import make_video

_EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1")
_CODERS = {
    "mp4": ("-c:v", "libx264", "-preset", "ultrafast"),
    "mov": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime"),
    "mkv": ("-c:v", "ffv1"),
    "avi": ("-c:v", "mpeg4"),
    "gif": (),
}
_STRANGE = "h264_metadata=colour_primaries=22:transfer_characteristics=9:matrix_coefficients=8"
_ODD = {
    "grey of 10 bits": ("mkv", "-c:v", "ffv1", "-pix_fmt", "gray10le"),
    "yuv410": ("mkv", "-c:v", "ffv1", "-pix_fmt", "yuv410p"),
    "rgb of 48 bits": ("mkv", "-c:v", "ffv1", "-pix_fmt", "rgb48le"),
    "a palette": ("avi", "-c:v", "rawvideo", "-pix_fmt", "pal8"),
    "transparent": ("mkv", "-c:v", "ffv1", "-pix_fmt", "yuva444p"),
    "fifteen bits": ("avi", "-c:v", "rawvideo", "-pix_fmt", "rgb555le"),
    "odd sides": ("mp4", "-c:v", "libx264", "-vf", "scale=33:31,format=yuv444p"),
    "flat pixels": ("mp4", "-c:v", "libx264", "-vf", "setsar=100/1"),
    "high pixels": ("mp4", "-c:v", "libx264", "-vf", "setsar=1/100"),
    "two pixels": ("mkv", "-c:v", "ffv1", "-vf", "scale=2:2"),
    "unknown colours": ("mp4", "-c:v", "libx264", "-bsf:v", _STRANGE),
}
_PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n",
    "hls with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n',
    "concat": "ffconcat version 1.0\nfile {0}\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet><Representation id="0" mimeType="video/mp4"><BaseURL>{0}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "remote": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/{0}.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "subtitles": "WEBVTT\n\n00:00.000 --> 00:01.000\nfile:{0}\n",
    "ffmetadata": ";FFMETADATA1\ntitle={0}\n",
}
_BEGINNINGS = {
    "plain": b"",
    "as mp4": b"\0\0\0\x08free",
    "as avi": b"RIFF\0\0\0\0AVI ",
    "as matroska": b"\x1a\x45\xdf\xa3",
    "as gif": b"GIF89a",
    "as png": b"\x89PNG\r\n\x1a\n",
}


def media_cases(folder: Path) -> list[Case]:
    shelf = Shelf(folder, "media")
    made = {end: _clip(folder / f"whole.{end}", *coding) for end, coding in _CODERS.items()}
    canary = "0x{:02x}{:02x}{:02x}".format(*CANARY_RGB)
    source = f"color={canary}:size=64x48:rate=10:duration=1"
    seen = _clip(folder / "canary.mp4", *_CODERS["mp4"], source=source).resolve()
    _playlists(shelf, seen)
    _cut(shelf, made)
    _sound(shelf, folder)
    for name, (end, *coding) in _ODD.items():
        shelf.put(name, _clip(shelf.place(name, f"a.{end}"), *coding), refused=False)
    _bombs(shelf)
    _two_at_once(shelf, made["mp4"].read_bytes())
    _elsewhere(shelf, _clip(folder / "canary.mov", *_CODERS["mov"], source=source))
    _not_files(shelf)
    return shelf.cases


def _clip(path: Path, *coding: str, source: str = "testsrc2=size=64x48:rate=10:duration=0.6") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, *coding, *_EXACT, source=source)


def _playlists(shelf: Shelf, canary: Path) -> None:
    for kind, text in _PLAYLISTS.items():
        for name, beginning in _BEGINNINGS.items():
            shelf.add(f"{kind} {name}", "clip.mp4", beginning + text.format(canary).encode())
    shelf.add("hls relative", "clip.mkv", _PLAYLISTS["hls"].format("../canary.mp4").encode())
    shelf.add("hls behind a prompt", "clip.txt", b"a\n" + _PLAYLISTS["hls"].format(canary).encode())


def _cut(shelf: Shelf, made: dict[str, Path]) -> None:
    for end, path in made.items():
        whole = path.read_bytes()
        for percent in (1, 5, 20, 50, 80, 95, 99):
            content = whole[: max(len(whole) * percent // 100, 1)]
            shelf.add(f"{end} cut to {percent}", f"a.{end}", content, refused=percent == 1)
        shelf.add(f"{end} with zeros", f"a.{end}", whole[:200] + bytes(len(whole) - 200), refused=False)
        shelf.add(f"{end} without a beginning", f"a.{end}", whole[100:], refused=False)
        noise = bytes((i * 7919 + 13) % 256 for i in range(2000))
        shelf.add(f"{end} of noise", f"a.{end}", whole[:16] + noise)


def _sound(shelf: Shelf, folder: Path) -> None:
    tone = "sine=frequency=440:duration=0.5"
    for end, coder in (("mp4", "aac"), ("mkv", "pcm_s16le"), ("avi", "pcm_s16le"), ("webm", "libopus")):
        path = make_video(shelf.place(f"sound alone in {end}", f"a.{end}"), "-c:a", coder, source=tone)
        shelf.put(f"sound alone in {end}", path)
    path = make_video(folder / "tone.wav", source=tone)
    shelf.add("a wav", "a.mp4", path.read_bytes())
    path = make_video(folder / "tone.mp3", "-c:a", "libmp3lame", source=tone)
    shelf.add("an mp3", "a.mp4", path.read_bytes())


def _bombs(shelf: Shelf) -> None:
    """Some are refused only where they are read whole; none may be costly to look at."""
    black = "color=black:size={}:rate={}:duration={}"
    wide = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "51")
    for name, source, coding in (
        ("large for long", black.format("2048x2048", 30, 10), wide),
        ("a frame of 24 megapixels", black.format("6000x4000", 1, 1), wide),
        ("a strip", black.format("16x3000", 1, 2), ("-c:v", "ffv1")),
    ):
        path = shelf.place(name, "a.mkv")
        shelf.put(name, _clip(path, *coding, source=source), refused=name != "large for long")
    slow = ("-vf", "setpts=N*1000000/TB", "-fps_mode", "vfr", "-c:v", "ffv1")
    shelf.put("frames days apart", _clip(shelf.place("frames days apart", "a.mkv"), *slow), refused=False)
    gif = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\x02\x02\x44\x01\0"
    shelf.add("a gif of 4 gigapixels", "a.gif", gif + frame * 50 + b"\x3b")
    shelf.add("a gif of many pictures", "a.gif", _tiny_gif() + _tiny_gif()[19:] * 1 + b"\x3b", refused=False)


def _tiny_gif() -> bytes:
    head = b"GIF89a" + struct.pack("<HH", 16, 16) + b"\x80\0\0" + bytes(6)
    return head + (b"\x2c" + struct.pack("<HHHH", 0, 0, 16, 16) + b"\0\x02\x02\x44\x01\0") * 2000


def _two_at_once(shelf: Shelf, mp4: bytes) -> None:
    page = f"<html><script>alert('{CANARY}')</script></html>".encode()
    shelf.add("a video and a page", "a.html", mp4 + page, refused=False)
    shelf.add("a page and a video", "a.mp4", page + mp4)
    shelf.add("a script", "a.mp4", b"#!/bin/sh\ntouch MARKER\n")
    shelf.add("a program", "a.mp4", b"\x7fELF" + bytes(60))
    shelf.add("an archive and a video", "a.mp4", b"PK\x03\x04" + bytes(26) + mp4)
    shelf.add("a video and an archive", "a.zip", mp4 + b"PK\x05\x06" + bytes(18), refused=False)
    shelf.add("a name that is an option", "-y", mp4, refused=False)
    shelf.add("a name that is a pattern", "%03d.mp4", mp4, refused=False)
    shelf.add("a name that is an address", "http:a.mp4", mp4, refused=False)
    shelf.add("an atom of no end", "a.mp4", b"\0\0\0\x01ftyp" + b"\xff" * 8 + mp4[16:])
    shelf.add(
        "atoms in atoms", "a.mp4", b"".join(struct.pack(">I4s", 8 * (9000 - i), b"moov") for i in range(9000))
    )
    shelf.add("many atoms", "a.mp4", b"\0\0\0\x08free" * 200_000)
    shelf.add("a table of a billion samples", "a.mp4", _many_samples(mp4), refused=False)


def _many_samples(mp4: bytes) -> bytes:
    place = mp4.index(b"stsz")
    return mp4[: place + 8] + struct.pack(">II", 1, 2**30) + mp4[place + 16 :]


def _elsewhere(shelf: Shelf, movie: Path) -> None:
    """QuickTime can name another file that holds the pictures."""
    data = movie.read_bytes()
    own = struct.pack(">I4sI", 12, b"url ", 1)
    empty = data[: data.index(b"mdat")], data[data.index(b"moov") - 4 :]
    name = str(movie.resolve()).encode() + b"\0"
    for what, entry in {
        "a reference without a place": struct.pack(">I4sI", 12, b"url ", 0),
        "a reference to the canary": struct.pack(">I4sI", 12 + len(name), b"url ", 0) + name,
        "an alias": struct.pack(">I4sI", 12, b"alis", 0),
    }.items():
        path = shelf.add(what, "clip.mov", b"".join(empty).replace(own, entry), refused=False)
        path.with_name("canary.mov").write_bytes(data)


def _not_files(shelf: Shelf) -> None:
    for end in ("mp4", "png", "gif", "txt"):
        shelf.add(f"empty {end}", f"a.{end}")
        shelf.add(f"zeros {end}", f"a.{end}", bytes(5000))
    os.mkfifo(path := shelf.place("a pipe", "a.mp4"))
    shelf.put("a pipe", path)
    (path := shelf.place("a folder", "a.mp4")).mkdir()
    shelf.put("a folder", path)
    for name, target in (("a device", "/dev/zero"), ("a link to nothing", "/nowhere"), ("itself", "a.mp4")):
        (path := shelf.place(name, "a.mp4")).symlink_to(target)
        shelf.put(name, path)
    (path := shelf.place("a link to passwords", "a.mp4")).symlink_to("/etc/passwd")
    shelf.put("a link to passwords", path)

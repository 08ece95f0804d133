"""Files back into requests: every format, by content, with what is missing, whoever wrote them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from wan_core.manager.file_hashes import FileHashes
from wan_core.manager.origins import Origins
from wan_core.manager.restoring import restore
from wan_core.manager.weights import WeightStore
from wan_core.media.embedding import embedded_inputs
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import FILES_KEY, REQUEST_KEY, request_metadata
from wan_core.media.write import write_clip, write_image, write_sidecar
from wan_core.schema import GenerationRequest, MediaError, Settings
from wan_core.schema.lora import LoraUse
from wan_core.schema.output import SUFFIXES, OutputOptions

FRAMES = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)


def described(settings: Settings, request: GenerationRequest) -> dict:
    """All that a job would tell of a request."""
    metadata = request_metadata(request)
    metadata[FILES_KEY] = Origins(request, settings, WeightStore(settings)).found(patience=60)
    return metadata | embedded_inputs(request, InputStore(settings.inputs_dir))[0]


def sidecar(folder: Path, metadata: dict) -> Path:
    write_sidecar(folder / "a.json", metadata)
    return folder / "a.json"


def lora(settings: Settings, name: str, content: bytes) -> Path:
    path = settings.loras_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Settings:
    """Another machine."""
    return Settings(home=tmp_path / "other", device="cpu", offline=True)


@pytest.fixture
def picture(settings: Settings) -> str:
    return InputStore(settings.inputs_dir).keep_picture(FRAMES[0])


@pytest.mark.parametrize("format", [*SUFFIXES, "t2i-png", "t2i-jpeg", "t2i-webp", "json"])
def test_a_file_alone_is_enough_on_another_machine(
    settings: Settings, other: Settings, tmp_path: Path, picture: str, format: str
) -> None:
    request = GenerationRequest(
        task="i2v",
        model="demo-image",
        prompt="一只猫 🐱",
        image=picture,
        crops="image=0.12345,0,0.9,1",
        seed=5,
        crf=3,
        ping_pong=True,
    )
    metadata = described(settings, request)
    path = tmp_path / f"a{SUFFIXES.get(format, '')}"
    if format == "json":
        path = sidecar(tmp_path, metadata)
    elif format in SUFFIXES:
        write_clip([FRAMES], path, 8, OutputOptions(video_format=format), metadata)
    else:
        write_image(FRAMES[0], path, format.removeprefix("t2i-"), metadata)
    restored = restore(path, other)
    assert (restored.request, restored.missing, restored.notes) == (request, (), ())
    kept = InputStore(other.inputs_dir).path(picture)
    assert kept.read_bytes() == InputStore(settings.inputs_dir).path(picture).read_bytes()


def test_a_request_alone_is_enough_too(other: Settings, tmp_path: Path) -> None:
    request = GenerationRequest(prompt="a star", seed=3)
    path = tmp_path / "request.json"
    path.write_text(request.model_dump_json(), encoding="utf-8-sig")
    assert restore(path, other).request == request


def test_inputs_that_are_nowhere_are_named_and_left_out(
    settings: Settings, other: Settings, tmp_path: Path, picture: str
) -> None:
    request = GenerationRequest(task="i2v", model="demo-image", prompt="a", image=picture)
    path = sidecar(tmp_path, request_metadata(request))
    assert restore(path, settings).request.image == picture
    restored = restore(path, other)
    assert restored.request.image is None
    assert restored.missing == ("Image: it is neither on this machine nor in the file; choose it again.",)
    both = {
        "image": picture,
        "last_image": "0" * 32 + ".png",
        "crops": "image=0,0,0.5,1 last_image=0,0,1,0.5",
    }
    ends = GenerationRequest(task="flf2v", model="demo-image", prompt="a", **both)
    restored = restore(sidecar(tmp_path, request_metadata(ends)), settings)
    assert (restored.request.last_image, str(restored.request.crops)) == (None, "image=0,0,0.5,1")
    assert restore(sidecar(tmp_path, request_metadata(ends)), other).request.crops is None
    several = request.model_copy(update={"image": None, "references": (picture, "0" * 32 + ".png")})
    restored = restore(sidecar(tmp_path, request_metadata(several)), settings)
    assert restored.request.references == (picture,)
    assert restored.missing == ("References: 1 of 2 are not on this machine.",)


def test_embedded_inputs_are_what_their_names_say_or_nothing(other: Settings, tmp_path: Path) -> None:
    text = b"MZ this is no picture"
    honest = f"{hashlib.sha256(text).hexdigest()[:32]}.png"
    for name, content in (
        ("0" * 32 + ".png", base64.b64encode(FRAMES.tobytes()).decode()),
        (honest, base64.b64encode(text).decode()),
        (honest, "not base64!"),
        (honest, 7),
    ):
        request = GenerationRequest(task="i2v", model="demo-image", prompt="a", image=name)
        metadata = {**request_metadata(request), "wan_studio_media": {name: content, "../../x": content}}
        restored = restore(sidecar(tmp_path, metadata), other)
        assert restored.request.image is None
        assert len(restored.missing) == 1
    assert not other.inputs_dir.exists() or list(other.inputs_dir.iterdir()) == []


def test_large_inputs_stay_out_and_are_named(
    settings: Settings, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wan_core.media.embedding.MAX_EMBEDDED", 100)
    request = GenerationRequest(task="i2v", prompt="a", image=picture)
    assert embedded_inputs(request, InputStore(settings.inputs_dir)) == (
        {},
        (f"The input {picture[:8]} has 0 MiB and was not put into the file; together they may have 0.",),
    )


def test_loras_are_known_by_their_content(settings: Settings, other: Settings, tmp_path: Path) -> None:
    lora(settings, "style.safetensors", b"one" * 1000)
    lora(settings, "gone.safetensors", b"two" * 1000)
    lora(settings, "changed.safetensors", b"old" * 1000)
    names = ("style.safetensors", "gone.safetensors", "changed.safetensors")
    uses = tuple(LoraUse(file=name, strength=0.5) for name in names)
    path = sidecar(tmp_path, described(settings, GenerationRequest(prompt="a", loras=uses)))
    assert restore(path, settings).missing == ()

    lora(other, "sub/my style.safetensors", b"one" * 1000)
    lora(other, "style.safetensors", b"xxx" * 1000)
    lora(other, "changed.safetensors", b"new" * 1000)
    restored = restore(path, other)
    assert [(use.file, use.strength) for use in restored.request.loras] == [
        ("sub/my style.safetensors", 0.5),
        ("changed.safetensors", 0.5),
    ]
    assert restored.notes == ("The LoRA style.safetensors is here as sub/my style.safetensors.",)
    assert [sentence[:60] for sentence in restored.missing] == [
        "The LoRA gone.safetensors is not in any folder of LoRAs, nor",
        "The LoRA changed.safetensors here is another file than the o",
    ]


def test_loras_without_a_digest_are_known_by_name(settings: Settings, tmp_path: Path) -> None:
    uses = (LoraUse(file="here.safetensors"), LoraUse(file="gone.safetensors"))
    lora(settings, "here.safetensors", b"x")
    path = sidecar(tmp_path, request_metadata(GenerationRequest(prompt="a", loras=uses)))
    restored = restore(path, settings)
    assert [use.file for use in restored.request.loras] == ["here.safetensors"]
    assert restored.missing == ("The LoRA gone.safetensors is not in any folder of LoRAs.",)


def test_models_that_are_not_here_are_said(other: Settings, tmp_path: Path) -> None:
    request = GenerationRequest(prompt="a", model="wan2.1-t2v-1.3b")
    restored = restore(sidecar(tmp_path, request_metadata(request)), other)
    assert restored.request == request
    (sentence,) = restored.missing
    assert sentence.startswith("Wan2.1 T2V 1.3B is not on this machine; 1")
    unknown = request_metadata(GenerationRequest(prompt="a", task="i2v", model="wan9"))
    restored = restore(sidecar(tmp_path, unknown), other)
    assert "i2v" in restored.request.task
    assert restored.missing[0].startswith("The model wan9 is not known here; ")


def test_another_models_files_are_said(settings: Settings, tmp_path: Path) -> None:
    metadata = described(settings, GenerationRequest(prompt="a", model="demo"))
    assert restore(sidecar(tmp_path, metadata), settings).missing == ()
    metadata[FILES_KEY]["model"][0]["sha256"] = "0" * 64
    assert restore(sidecar(tmp_path, metadata), settings).missing == (
        "Demo (built in) is here in other files than those it was made with.",
    )


def test_newer_settings_are_left_out_and_said(other: Settings, tmp_path: Path) -> None:
    metadata = request_metadata(GenerationRequest(prompt="a", seed=4))
    metadata[REQUEST_KEY] |= {"scheduler": "quantum", "holograms": 3, "codec": "h299", "<b>": 1}
    restored = restore(sidecar(tmp_path, metadata), other)
    assert (restored.request.seed, restored.request.scheduler, restored.request.codec) == (4, None, "auto")
    assert restored.notes == (
        "Settings that this version does not know were left out: <b>, holograms.",
        "Settings whose values this version does not take were left out: codec, scheduler.",
    )


@pytest.mark.parametrize("content", ["{}", "[1]", "no", '{"wan_studio_request": 3}', '{"a":' * 9000, ""])
def test_a_file_without_settings_is_one_sentence(other: Settings, tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(MediaError, match=r"a\.json holds no settings of this studio"):
        restore(tmp_path / "a.json", other)


@pytest.mark.parametrize(
    "files", [3, {"model": 3, "loras": []}, {"model": [3, {"bytes": "x"}], "loras": {"a": 1}}]
)
def test_strange_origins_do_no_harm(other: Settings, tmp_path: Path, files: object) -> None:
    request = GenerationRequest(prompt="a", loras=(LoraUse(file="a.safetensors"),))
    metadata = {**request_metadata(request), FILES_KEY: files}
    assert len(restore(sidecar(tmp_path, metadata), other).missing) <= 2


@pytest.mark.parametrize("format", ["webm", "gif", "webp", "png"])
def test_damaged_files_never_do_harm(other: Settings, tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a{SUFFIXES[format]}"
    metadata = request_metadata(GenerationRequest(prompt="a = ; 猫"))
    write_clip([FRAMES], path, 8, OutputOptions(video_format=format), metadata)
    whole, chance = path.read_bytes(), random.Random(0)
    place = whole.index(b"wan_studio_request")
    start = max(place - 400, 0)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(start, min(place + 50, len(whole)))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice((len(whole), chance.randrange(len(whole))))])
        try:
            assert isinstance(restore(path, other).request, GenerationRequest)
        except MediaError:
            continue


MILLION = 1_000_000
SLOW = {
    "chunks.png": b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0aaAa\0\0\0\0" * MILLION,
    "segments.jpg": b"\xff\xd8" + b"\xff\xfe\0\2" * MILLION,
    "blocks.gif": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1a" * MILLION,
    "extensions.gif": b"GIF89a" + bytes(7) + b"\x21\x01\0" * MILLION,
    "atoms.mp4": b"\0\0\0\x08free" * MILLION,
    "tags.webm": b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + b"\x12\x54\xc3\x67\x80" * MILLION,
    "chunks.webp": b"RIFF\xff\xff\xff\x7fWEBP" + b"abcd\0\0\0\0" * MILLION,
    "long.json": b"{" + b" " * 10 * MILLION,
}


@pytest.mark.parametrize("name", SLOW)
def test_a_file_made_to_keep_us_busy_does_not(other: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SLOW[name])
    begun = time.perf_counter()
    with pytest.raises(MediaError, match="holds no settings"):
        restore(tmp_path / name, other)
    assert time.perf_counter() - begun < 2


def test_a_digest_is_read_once_and_again_when_the_file_changes(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    hashes = FileHashes(settings)
    assert hashes.known(path) is None
    assert hashes.digest(path) == hashlib.sha256(b"one").hexdigest()
    assert FileHashes(settings).known(path) == hashlib.sha256(b"one").hexdigest()
    facts = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert hashes.known(path) is None
    assert hashes.digest(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", ["", "[]", '{"a": 3, "b": "x"}', "{" * 5000])
def test_a_broken_cache_of_digests_is_no_cache(settings: Settings, tmp_path: Path, content: str) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "hashes.json").write_text(content)
    (tmp_path / "a").write_bytes(b"one")
    assert FileHashes(settings).digest(tmp_path / "a") == hashlib.sha256(b"one").hexdigest()
    assert json.loads((settings.home / "hashes.json").read_text()).popitem()[1][:8] == "7692c3ad"


def test_an_upscaler_is_recognised_by_its_content(
    settings: Settings, other: Settings, tmp_path: Path
) -> None:
    request = GenerationRequest(prompt="a", upscale=2, upscaler="a.pth")
    for home, name, content in ((settings, "a.pth", b"weights"), (other, "sub/b.pth", b"weights")):
        (home.upscalers_dir / name).parent.mkdir(parents=True)
        (home.upscalers_dir / name).write_bytes(content)
    metadata = described(settings, request)
    told = metadata[FILES_KEY]["upscaler"]
    assert told == {"name": "a.pth", "bytes": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}
    path = sidecar(tmp_path, metadata)
    restored = restore(path, other)
    assert (restored.request.upscaler, restored.missing) == ("sub/b.pth", ())
    assert restored.notes == ("The upscaler a.pth is here as sub/b.pth.",)

    (other.upscalers_dir / "sub/b.pth").write_bytes(b"another")
    restored = restore(path, other)
    assert (restored.request.upscaler, restored.request.upscale) == ("", 2)
    assert restored.missing == (
        f"The upscaler a.pth is not in any folder of upscalers, nor is its content "
        f"(SHA-256 {told['sha256'][:12]}…) under another name.",
    )
    (other.upscalers_dir / "a.pth").write_bytes(b"another")
    restored = restore(path, other)
    assert restored.request.upscaler == "a.pth"
    assert restored.missing == ("The upscaler a.pth here is another file than the one that was used.",)

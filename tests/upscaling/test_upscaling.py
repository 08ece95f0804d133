"""Learnt upscalers: the same pixels as the net itself, in tiles, for a job; and files that are none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.upscaling.nets import compact, esrgan, put, span, swinir
from wan_core.cli import main
from wan_core.engine import Engine
from wan_core.manager.upscalers import Upscaler, open_upscaler
from wan_core.media.finishing import finished, resized
from wan_core.media.metadata import FILES_KEY, read_metadata
from wan_core.media.read import probe, read_image, read_video
from wan_core.media.write import write_clip
from wan_core.schema import (
    Cancelled,
    GenerationFailed,
    GenerationRequest,
    InvalidRequest,
    OutOfMemory,
    ProgressEvent,
    Settings,
    Stage,
    WeightsError,
)
from wan_core.schema.output import OutputOptions
from wan_core.upscaling import shelf, tiles
from wan_core.upscaling.nets import Net, build_net
from wan_core.upscaling.tiles import choose_side, enlarge_frame, pieces

CPU = torch.device("cpu")


def frame(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def by_net(net: Any, picture: np.ndarray) -> np.ndarray:
    """What the net makes of a frame, called directly."""
    with torch.inference_mode():
        made = net(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    return (made.clamp(0, 1)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def ignore(event: ProgressEvent) -> None:
    """An ``emit`` that nobody listens to."""


def opened(settings: Settings, name: str, factor: float = 2, emit: Any = ignore) -> Upscaler:
    made = open_upscaler(OutputOptions(upscaler=name, upscale=factor), settings, CPU, emit)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("net", "scale", "suffix"),
    [
        (compact(2), 2, ".safetensors"),
        (esrgan(), 4, ".pth"),
        (span(), 2, ".safetensors"),
        (swinir(), 2, ".pth"),
        (swinir(), 2, ".safetensors"),
    ],
    ids=["compact", "esrgan", "span", "swinir", "swinir-safetensors"],
)
def test_frames_are_what_the_net_makes_of_them(settings: Settings, net: Any, scale: int, suffix: str) -> None:
    put(net, settings.upscalers_dir, f"net{suffix}")
    given = np.stack([frame(seed=1), frame(seed=2), frame(seed=3)])
    made = [*opened(settings, f"net{suffix}", scale)(iter([given[:2], given[2:]]), 3)]
    assert [chunk.shape for chunk in made] == [(1, 40 * scale, 56 * scale, 3)] * 3
    for one, original in zip(made, given, strict=True):
        expected = by_net(net, original)
        assert np.abs(one[0].astype(int) - expected).max() <= 1
        assert expected.std() > 5


def test_another_size_than_the_nets_is_resampled(settings: Settings) -> None:
    net = compact(4)
    put(net, settings.upscalers_dir, "4x.safetensors")
    (made,) = opened(settings, "4x.safetensors", 1.5)(iter([frame()[None]]), 1)
    assert np.abs(made[0].astype(int) - resized(by_net(net, frame()), 84, 60)).max() <= 1


def test_tiles_change_nothing() -> None:
    net = build_net("net", compact(2).state_dict())
    picture, weight = frame(200, 300), torch.empty(0)
    whole = enlarge_frame(net, picture, weight, None, lambda: None)
    begun = []
    tiled = enlarge_frame(net, picture, weight, 64, lambda: begun.append(1))
    assert len(begun) == 4 * 5
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert (whole != tiled).mean() < 1e-3  # roundings of sums in another order


def test_tiles_begin_where_windows_do() -> None:
    net = build_net("net", swinir().state_dict())
    picture, weight = frame(128, 160), torch.empty(0)
    whole = enlarge_frame(net, picture, weight, None, lambda: None)
    tiled = enlarge_frame(net, picture, weight, 64, lambda: None)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_without_what_lies_around_tiles_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build_net("net", compact(2).state_dict())
    whole = enlarge_frame(net, frame(128, 128), torch.empty(0), None, lambda: None)
    monkeypatch.setattr(tiles, "AROUND", 0)
    tiled = enlarge_frame(net, frame(128, 128), torch.empty(0), 64, lambda: None)
    assert np.abs(whole.astype(int) - tiled).max() > 8


def test_tiles_cover_a_picture_once_and_begin_at_multiples_of_what_is_around() -> None:
    seen = np.zeros((150, 100), int)
    for piece in pieces(150, 100, 64):
        seen[piece.rows, piece.columns] += 1
        assert piece.seen_rows.start % tiles.AROUND == piece.seen_columns.start % tiles.AROUND == 0
    assert (seen == 1).all()


def test_the_tile_follows_from_the_room() -> None:
    assert choose_side(480, 832, 480 * 832 * 10, 10) is None
    assert choose_side(480, 832, 480 * 832 * 10 - 1, 10) == 512
    assert choose_side(480, 832, 0, 10) == tiles.SMALLEST


def test_no_room_makes_the_tiles_smaller(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    net, sizes, picture = compact(2), [], frame(200, 120)
    put(net, settings.upscalers_dir, "net.safetensors")
    expected, plain = by_net(net, picture), type(net).forward

    def small_only(self: Any, x: torch.Tensor) -> torch.Tensor:
        sizes.append(x.shape[2])
        if x.shape[2] > 150:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, x)

    monkeypatch.setattr(type(net), "forward", small_only)
    (made,) = opened(settings, "net.safetensors")(iter([picture[None]]), 1)
    assert np.abs(made[0].astype(int) - expected).max() <= 1
    assert max(sizes) == 200
    assert sizes[-1] <= 150

    monkeypatch.setattr(tiles, "_SIDES", (tiles.SMALLEST * 4,))
    with pytest.raises(OutOfMemory, match=r"net\.safetensors has no room for a tile"):
        next(opened(settings, "net.safetensors")(iter([picture[None]]), 1))


def test_half_precision_that_overflows_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    net = compact(2)
    put(net, settings.upscalers_dir, "net.safetensors")
    upscaler, expected, plain = opened(settings, "net.safetensors"), by_net(net, frame()), type(net).forward
    upscaler._dtypes = [torch.bfloat16, torch.float32]

    def overflows(self: Any, x: torch.Tensor) -> torch.Tensor:
        return plain(self, x) * (1 if x.dtype is torch.float32 else float("nan"))

    monkeypatch.setattr(type(net), "forward", overflows)
    (made,) = upscaler(iter([frame()[None]]), 1)
    assert np.abs(made[0].astype(int) - expected).max() <= 1
    assert upscaler.notes == ["The upscaler net.safetensors overflows in half precision; it ran in float32."]
    monkeypatch.setattr(type(net), "forward", lambda self, x: plain(self, x) * float("nan"))
    with pytest.raises(GenerationFailed, match=r"net\.safetensors made numbers that are no picture"):
        next(upscaler(iter([frame()[None]]), 1))


def test_it_tells_every_tile_and_stops_at_the_next(settings: Settings) -> None:
    put(compact(2), settings.upscalers_dir, "net.safetensors")
    told: list[tuple[int, int]] = []

    def emit(event: ProgressEvent) -> None:
        assert event.stage is Stage.UPSCALE
        told.append((event.step, event.total))
        if event.step == 2:
            raise Cancelled

    frames = opened(settings, "net.safetensors", emit=emit)(iter([frame()[None]] * 5), 5)
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(Cancelled):
        next(frames)
    assert told == [(0, 5), (0, 5), (1, 5), (2, 5)]


def test_it_begins_when_all_frames_are_there(tmp_path: Path) -> None:
    """By then the model that decodes is out of use, and in-between frames are counted."""
    made, seen = [], []

    def decoded() -> Any:
        for seed in range(3):
            made.append(seed)
            yield frame(32, 32, seed)[None]

    def enlarge(frames: Any, count: int) -> Any:
        seen.append((len(made), count))
        yield from frames

    options = OutputOptions(interpolate_fps=16)
    out = np.concatenate([*finished(decoded(), 8, options, tmp_path, enlarge)])
    assert seen == [(3, 5)]
    assert len(out) == 5
    assert [*tmp_path.iterdir()] == []


# -- files that are none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"some.weight": torch.ones(3, 3)}, "no upscaler that spandrel knows"),
        ({"body.99999999.weight": torch.ones(3, 3, 3, 3)}, "in a size that no upscaler has"),
        ({"body.0.weight": torch.ones(2**17, 1)}, "in a size that no upscaler has"),
        ({"body.0.weight": torch.ones(0, 3, 3, 3)}, "in a size that no upscaler has"),
        ({"body.0.weight": torch.ones(8, 3, 3, 3, dtype=torch.int8)}, "in a way that no upscaler does"),
    ],
)
def test_what_is_no_upscaler_is_refused(
    settings: Settings, tensors: dict[str, torch.Tensor], problem: str
) -> None:
    settings.upscalers_dir.mkdir(parents=True)
    save_file(tensors, settings.upscalers_dir / "odd.safetensors")
    with pytest.raises(WeightsError, match=f"The upscaler odd.safetensors cannot be used: .*{problem}"):
        opened(settings, "odd.safetensors")


def test_a_small_file_cannot_make_a_large_net() -> None:
    """Sixty thousand features in the first layer would make others of thirty gigabytes."""
    state = dict(compact(2).state_dict())
    state["body.0.weight"] = torch.ones(60_000, 3, 3, 3)
    with pytest.raises(WeightsError, match="damaged or no upscaler"):
        build_net("bomb", state)


def test_a_file_that_is_cut_short_is_refused(settings: Settings) -> None:
    path = put(compact(2), settings.upscalers_dir, "cut.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match=r"cut\.safetensors cannot be used"):
        opened(settings, "cut.safetensors")


def test_a_missing_file_or_library_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match="not in any folder of upscalers") as refused:
        opened(settings, "gone.safetensors")
    assert "upscalers folder" in refused.value.remedy
    assert str(settings.home) not in str(refused.value)
    put(compact(2), settings.upscalers_dir, "net.safetensors")
    monkeypatch.setattr(shelf, "is_installed", lambda: False)
    with pytest.raises(InvalidRequest, match=r"spandrel.*pip install --no-deps spandrel einops"):
        opened(settings, "net.safetensors")


def test_a_broken_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(InvalidRequest, match="spandrel, which runs upscalers, cannot be used"):
        build_net("net", {})


@pytest.mark.parametrize("name", ["../a.safetensors", "/etc/a.pth", "a.txt", "a.ckpt", "a\\b.pth", "./a.pth"])
def test_names_never_lead_out(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidRequest):
        GenerationRequest.parse({"upscaler": name})
    with pytest.raises(InvalidRequest):
        shelf.find_upscaler(settings, name)


def test_files_are_found_where_comfyui_keeps_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", model_folders=(tmp_path / "comfy",))
    put(compact(2), settings.upscalers_dir, "own.pth")
    put(compact(2), tmp_path / "comfy/models/upscale_models/sub", "other.safetensors")
    (settings.upscalers_dir / "notes.txt").touch()
    assert shelf.list_upscalers(settings) == ["own.pth", "sub/other.safetensors"]
    assert shelf.find_upscaler(settings, "sub/other.safetensors").is_file()


# -- jobs -------------------------------------------------------------------------------------------


def request(**values: Any) -> GenerationRequest:
    return GenerationRequest(model="tiny", prompt="a red circle", **{"seed": 1, **values})


def test_a_job_is_enlarged_by_the_net_and_says_with_what(tiny: Any, settings: Settings) -> None:
    net, engine, told = compact(2), Engine(settings), []
    path = put(net, settings.upscalers_dir, "net.safetensors")
    plain = engine.generate(request(video_format="png-folder"), ignore, "plain").video
    asked = request(video_format="png-folder", upscaler="net.safetensors", upscale=2)
    result = engine.generate(asked, lambda event: told.append(event), "job")
    for name in ("frame_00001.png", "frame_00005.png"):
        expected = by_net(net, read_image(plain / name))
        assert np.abs(read_image(result.video / name).astype(int) - expected).max() <= 1
    stages = [event.stage for event in told]
    last_decode = max(at for at, stage in enumerate(stages) if stage is Stage.DECODE)
    assert last_decode < stages.index(Stage.UPSCALE)
    assert [(e.step, e.total) for e in told if e.stage is Stage.UPSCALE][-1] == (5, 5)
    assert result.seconds["upscale"] > 0
    kept = read_metadata(result.video)[FILES_KEY]["upscaler"]
    assert (kept["name"], kept["bytes"]) == ("net.safetensors", path.stat().st_size)
    assert len(kept["sha256"]) == 64


def test_a_video_and_a_picture_have_the_size_that_was_asked_for(tiny: Any, settings: Settings) -> None:
    put(compact(2), settings.upscalers_dir, "net.safetensors")
    engine = Engine(settings)
    video = engine.generate(request(upscaler="net.safetensors", upscale=3), ignore, "video").video
    assert (probe(video).width, probe(video).height) == (96, 96)
    assert read_video(video).frames.shape[0] == 5
    picture = engine.generate(request(task="t2i", upscaler="net.safetensors", upscale=2), ignore, "picture")
    assert read_image(picture.video).shape == (64, 64, 3)
    same = engine.generate(request(task="t2i", upscaler="net.safetensors"), ignore, "same")
    assert read_image(same.video).shape == (32, 32, 3)
    assert any("set Enlarge to 2" in warning for warning in same.warnings)


def test_a_wrong_file_costs_no_step(tiny: Any, settings: Settings) -> None:
    settings.upscalers_dir.mkdir(parents=True)
    save_file({"some.weight": torch.ones(3, 3)}, settings.upscalers_dir / "odd.safetensors")
    told: list[ProgressEvent] = []
    with pytest.raises(WeightsError, match="no upscaler that spandrel knows"):
        Engine(settings).generate(request(upscaler="odd.safetensors"), told.append, "job")
    assert told == []


def test_plain_nets_say_what_they_are() -> None:
    net = build_net("net", esrgan().state_dict())
    assert isinstance(net, Net)
    assert (net.scale, net.dtypes[-1], net.tiles) == (4, torch.float32, True)


def test_the_command_line_enlarges_a_finished_video(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, frames = compact(2), np.stack([frame(32, 32, seed) for seed in range(3)])
    put(net, settings.upscalers_dir, "net.safetensors")
    write_clip([frames], tmp_path / "clip.zip", 8, OutputOptions(video_format="png"), {})
    options = ["--upscaler", "net.safetensors", "--upscale", "2", "--device", "cpu"]
    command = ["export", str(tmp_path / "clip.zip"), "--format", "png-folder", "--home", str(settings.home)]
    assert main([*command, *options]) == 0
    told = capsys.readouterr()
    made = read_image(Path(told.out.strip()) / "frame_00002.png")
    assert np.abs(made.astype(int) - by_net(net, frames[1])).max() <= 1
    assert "upscale" in told.err
    assert main([*command, "--upscaler", "gone.pth"]) == 2
    assert "'gone.pth' is not in any folder of upscalers" in capsys.readouterr().err

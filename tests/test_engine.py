"""A job from request to file on the tiny model: reproducible, cancellable, and never done with no video."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.full_disk import files_of_at_most
from wan_core.catalog import Role, SamplingDefaults
from wan_core.engine import Engine
from wan_core.media.metadata import read_request
from wan_core.media.read import read_video
from wan_core.models.dit.model import WanDiT
from wan_core.models.vae.model import WanVAE
from wan_core.pipelines.latents import load_latents
from wan_core.schema import (
    Cancelled,
    GenerationFailed,
    GenerationRequest,
    InvalidRequest,
    MediaError,
    ProgressEvent,
    Settings,
    Stage,
)

pytestmark = pytest.mark.usefixtures("tiny")

PROMPT = "一只猫在月光下跳舞 🐱 a red circle"


def request(**values: object) -> GenerationRequest:
    return GenerationRequest(model="tiny", **{"prompt": PROMPT, "seed": 1, **values})


def ignore(event: ProgressEvent) -> None:
    """An ``emit`` that nobody listens to."""


def stop_at(stage: Stage, step: int) -> Callable[[ProgressEvent], None]:
    """An ``emit`` that cancels at that event."""

    def emit(event: ProgressEvent) -> None:
        if event.stage is stage and event.step >= step:
            raise Cancelled

    return emit


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(settings)


def outputs(engine: Engine) -> list[str]:
    folder = engine.settings.outputs_dir
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_job_leaves_a_video_with_its_request(engine: Engine) -> None:
    result = engine.generate(request(seed=-1), ignore, "job")
    assert read_video(result.video).frames.shape == (5, 32, 32, 3)
    assert read_video(result.video).fps == 8
    assert read_request(result.video) == result.request
    assert result.request.seed >= 0
    filled = {name: getattr(result.request, name) for name in SamplingDefaults.__dataclass_fields__}
    assert {name for name, value in filled.items() if value is None} == {"sigmas"}
    assert set(result.seconds) == {"load", "encode", "denoise", "decode", "save"}
    assert set(result.parts) == {"text_encoder", "transformer", "vae"}
    loads = sum(use.load_seconds for use in result.parts.values())
    assert loads == pytest.approx(result.seconds["load"])
    assert 2**20 < max(use.peak_bytes for use in result.parts.values()) <= result.peak_bytes
    assert outputs(engine) == sorted([result.video.name, result.thumbnail.name])


def test_the_poster_is_the_middle_frame(engine: Engine) -> None:
    result = engine.generate(request(crf=0), ignore, "job")
    frames = read_video(result.video).frames.astype(float)
    with Image.open(result.thumbnail) as image:
        poster = np.asarray(image.convert("RGB"), dtype=float)
    distances = [np.abs(frame - poster).mean() for frame in frames]
    assert int(np.argmin(distances)) == 2


def test_without_metadata_the_file_says_nothing(engine: Engine) -> None:
    result = engine.generate(request(embed_metadata=False), ignore, "job")
    with pytest.raises(MediaError, match="holds no settings"):
        read_request(result.video)


def test_the_same_request_gives_the_same_file_and_another_seed_another(settings: Settings) -> None:
    files = []
    for job, seed in {"a": 1, "b": 1, "c": 2}.items():
        result = Engine(settings).generate(request(seed=seed, embed_metadata=False), ignore, job)
        files.append(result.video.read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_warm_engine_repeats_itself(engine: Engine) -> None:
    jobs = {"a": 1, "b": 2, "c": 1}
    first, other, again = (engine.generate(request(seed=s), ignore, job) for job, s in jobs.items())
    assert first.video.read_bytes() == again.video.read_bytes() != other.video.read_bytes()


def test_the_result_request_repeats_the_file(engine: Engine) -> None:
    first = engine.generate(request(seed=-1), ignore, "a")
    again = engine.generate(first.request, ignore, "b")
    assert first.video.read_bytes() == again.video.read_bytes()


@pytest.mark.parametrize("scheduler", ["unipc", "dpm++", "euler", "lcm"])
def test_every_sampler_is_reproducible(engine: Engine, scheduler: str) -> None:
    one, two = (engine.generate(request(scheduler=scheduler), ignore, job) for job in "ab")
    assert one.video.read_bytes() == two.video.read_bytes()


def test_one_frame_is_a_video_too(engine: Engine) -> None:
    assert len(read_video(engine.generate(request(num_frames=1), ignore, "job").video).frames) == 1


def test_every_stage_reports_in_order(engine: Engine) -> None:
    events: list[ProgressEvent] = []
    engine.generate(request(num_frames=9, preview_every=1), events.append, "job")
    stages = [stage for stage, _ in itertools.groupby(event.stage for event in events)]
    assert stages == ["load", "encode", "load", "denoise", "load", "decode", "save"]
    denoise = [event for event in events if event.stage is Stage.DENOISE]
    assert [(event.step, event.total) for event in denoise] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    decode = [event.step for event in events if event.stage is Stage.DECODE]
    assert decode == [0, 1, 5, 9]
    assert all(b.seconds >= a.seconds for a, b in itertools.pairwise(denoise))


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (Stage.LOAD, 1),
        (Stage.ENCODE, 1),
        (Stage.DENOISE, 0),
        (Stage.DENOISE, 2),
        (Stage.DECODE, 1),
        (Stage.SAVE, 0),
    ],
)
def test_cancelling_stops_there_and_leaves_no_file(engine: Engine, stage: Stage, step: int) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    with engine.manager.use(_tiny(), Role.TRANSFORMER, ignore) as transformer:
        handle = transformer.register_forward_hook(count)
    with pytest.raises(Cancelled):
        engine.generate(request(), stop_at(stage, step), "job")
    handle.remove()
    expected = {Stage.LOAD: 0, Stage.ENCODE: 0, Stage.DENOISE: step}.get(stage, 3)
    assert calls == expected
    assert outputs(engine) == []
    assert engine.latents_path("job").exists() == (stage in (Stage.DECODE, Stage.SAVE))
    assert engine.generate(request(), ignore, "next").video.exists()


def _tiny():
    from wan_core.catalog import MODELS

    return MODELS["tiny"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [1, 3])
def test_nan_at_a_step_is_a_failure_at_that_step(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, step: int, value: float
) -> None:
    forward, calls = WanDiT.forward, itertools.count(1)

    def broken(self: WanDiT, *inputs: torch.Tensor) -> torch.Tensor:
        velocity = forward(self, *inputs)
        if next(calls) == step:
            velocity[0, 3, 1, 2, 0] = value
        return velocity

    monkeypatch.setattr(WanDiT, "forward", broken)
    with pytest.raises(GenerationFailed, match=f"Step {step} of 3 .*try precision"):
        engine.generate(request(), ignore, "job")
    assert outputs(engine) == []


def test_nan_from_the_decoder_is_a_failure(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: WanVAE, latents: torch.Tensor):
        yield torch.zeros(1, 3, 1, 32, 32)
        yield torch.full((1, 3, 4, 32, 32), float("nan"))

    monkeypatch.setattr(WanVAE, "decode_stream", broken)
    with pytest.raises(GenerationFailed, match="Frame 2 of 5"):
        engine.generate(request(), ignore, "job")
    assert outputs(engine) == []
    assert engine.latents_path("job").exists()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_a_clip_of_one_colour_is_a_failure(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def flat(self: WanVAE, latents: torch.Tensor):
        yield torch.full((1, 3, 1, 32, 32), value)
        yield torch.full((1, 3, 4, 32, 32), value)

    monkeypatch.setattr(WanVAE, "decode_stream", flat)
    with pytest.raises(GenerationFailed, match="one colour"):
        engine.generate(request(), ignore, "job")
    assert outputs(engine) == []


def test_latents_are_saved_before_decoding_and_decode_to_the_same_file(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        engine.generate(request(), stop_at(Stage.DECODE, 0), "job")
    latents, kept = load_latents(engine.latents_path("job"))
    assert latents.shape == (1, 16, 2, 4, 4)
    assert kept.prompt == PROMPT
    rescued = engine.decode(engine.latents_path("job"), ignore, "job")
    whole = engine.generate(request(), ignore, "again")
    assert rescued.video.read_bytes() == whole.video.read_bytes()
    assert rescued.request == whole.request


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each call of the transformer."""
    forward, seen = WanDiT.forward, []

    def counted(self: WanDiT, *inputs: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return forward(self, *inputs)

    monkeypatch.setattr(WanDiT, "forward", counted)
    return seen


def test_a_job_that_died_while_decoding_is_not_denoised_again(settings: Settings, calls: list[int]) -> None:
    with pytest.raises(Cancelled):
        Engine(settings).generate(request(), stop_at(Stage.DECODE, 1), "job")
    assert len(calls) == 3
    again = Engine(settings).generate(request(), ignore, "job")
    assert len(calls) == 3
    assert again.video.read_bytes() == Engine(settings).generate(request(), ignore, "b").video.read_bytes()


@pytest.mark.parametrize("change", [{"seed": 2}, {"num_inference_steps": 2}, {"prompt": "a blue circle"}])
def test_latents_of_another_request_are_not_taken(engine: Engine, calls: list[int], change: dict) -> None:
    engine.generate(request(), ignore, "job")
    calls.clear()
    engine.generate(request().model_copy(update=change), ignore, "job")
    assert len(calls) == change.get("num_inference_steps", 3)


def test_damaged_latents_are_made_again(engine: Engine, calls: list[int]) -> None:
    engine.generate(request(), ignore, "job")
    path = engine.latents_path("job")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    engine.generate(request(), ignore, "job")
    assert len(calls) == 6
    assert path.read_bytes() == whole


def test_a_prompt_cut_short_is_a_warning_of_the_result(settings: Settings) -> None:
    engine = Engine(settings)
    assert engine.generate(request(), ignore, "a").warnings == ()
    long = request().model_copy(update={"prompt": "a red circle " * 300})
    (warning,) = engine.generate(long, ignore, "b").warnings
    assert re.fullmatch(r"The prompt has \d{3,4} tokens; the model sees the first 512\.", warning)
    # another process has encoded nothing; it takes the latents and counts the tokens
    assert Engine(settings).generate(long, ignore, "b").warnings == (warning,)


def test_the_seed_draws_the_words_of_a_prompt(engine: Engine) -> None:
    engine.settings.wildcards_dir.mkdir(parents=True)
    (engine.settings.wildcards_dir / "animal.txt").write_text("cat\ndog\n")
    templates = [request(prompt="a {red|blue} __animal__", seed=seed) for seed in range(6)]
    first, *others = (engine.generate(template).request.prompt for template in templates)
    assert re.fullmatch("a (red|blue) (cat|dog)", first)
    assert len({first, *others}) > 1
    again, plain = engine.generate(templates[0]), engine.generate(request(prompt=first, seed=0))
    assert again.request == plain.request == read_request(again.video)
    assert again.video.read_bytes() == plain.video.read_bytes()
    with pytest.raises(InvalidRequest, match="no wildcard file for __colour__"):
        engine.generate(request(prompt="a __colour__ cat"))


def test_a_named_file_has_no_poster_and_its_neighbours_stay(engine: Engine, tmp_path: Path) -> None:
    neighbour = tmp_path / "out.webp"
    neighbour.write_bytes(b"mine")
    result = engine.generate(request(), ignore, "job", tmp_path / "out.mp4")
    assert (result.video, result.thumbnail) == (tmp_path / "out.mp4", None)
    assert neighbour.read_bytes() == b"mine"
    assert outputs(engine) == []


def test_a_full_disk_while_writing_keeps_the_latents(engine: Engine) -> None:
    disk = ExitStack()

    def fill_up(event: ProgressEvent) -> None:
        if event.stage is Stage.DECODE:
            disk.enter_context(files_of_at_most(300))

    with disk, pytest.raises(MediaError, match="could not be written"):
        engine.generate(request(), fill_up, "job")
    assert outputs(engine) == []
    assert engine.decode(engine.latents_path("job"), ignore, "job").video.exists()


def test_a_folder_that_vanishes_while_denoising_keeps_the_latents(engine: Engine) -> None:
    def replace_folder(event: ProgressEvent) -> None:
        if event.stage is Stage.DENOISE and event.step == 3:
            engine.settings.outputs_dir.rmdir()
            engine.settings.outputs_dir.write_text("")

    with pytest.raises(MediaError):
        engine.generate(request(), replace_folder, "job")
    assert engine.latents_path("job").exists()


def test_an_unwritable_folder_is_found_before_the_first_step(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be written to"):
        engine.generate(request(), stop_at(Stage.LOAD, 0), "job", tmp_path / "file" / "a.mp4")


def test_a_wrong_request_is_refused_before_anything_is_loaded(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="num_frames: 6 is not 4n"):
        engine.generate(request(num_frames=6), ignore, "job")
    assert engine.manager.loaded() == {}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_near_float32(engine: Engine, settings: Settings, precision: str) -> None:
    other = Engine(settings.model_copy(update={"precision": precision}))
    other.generate(request(), ignore, "half")
    engine.generate(request(), ignore, "full")
    half, _ = load_latents(engine.latents_path("half"))
    full, _ = load_latents(engine.latents_path("full"))
    assert 0 < (half - full).norm() / full.norm() < 0.02


def test_other_errors_keep_their_type(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(WanDiT, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        engine.generate(request(), ignore, "job")


def test_guidance_of_one_runs_one_pass_and_ignores_the_negative_prompt(engine: Engine) -> None:
    one, two = (
        engine.generate(request(guidance_scale=1.0, negative_prompt=text, embed_metadata=False), ignore, text)
        for text in ("a", "b")
    )
    assert one.video.read_bytes() == two.video.read_bytes()

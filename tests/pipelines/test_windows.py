"""Long clips through windows: what each window is given, and how they become one clip."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor, nn

from tests.models.dit_kinds import T2V
from tests.models.randomise import randomise
from wan_core.acceleration.easycache import EasyCache
from wan_core.acceleration.step_cache import Pass, StepCache
from wan_core.models.dit.conditioning import DiTConditioning
from wan_core.models.dit.model import WanDiT
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.prompt_encoding import PromptEmbeds
from wan_core.pipelines.windows import Windowing, freely_shuffled, through_window
from wan_core.schedulers import make_scheduler
from wan_core.schema import Cancelled
from wan_core.schema.windows import WindowOptions

PROMPTS = PromptEmbeds(torch.full((1, 4, 8), 3.0), torch.full((1, 2, 8), 1.0))
UNSTEERED = Conditioning()
ALONE = PromptEmbeds(torch.full((1, 4, 8), 3.0), None)


def options(text: str) -> WindowOptions:
    return WindowOptions.read(text).settled(17)


class Mixer(nn.Module):
    """A stand-in whose velocity depends on the place in the window, on the neighbours and on the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen: list[tuple[Tensor, DiTConditioning]] = []

    def forward(self, latents: Tensor, timestep: Tensor, prompt: Tensor, given: DiTConditioning) -> Tensor:
        self.seen.append((latents.clone(), given))
        place = torch.arange(latents.shape[2])[:, None, None]
        return latents.roll(1, 2) * 0.3 + place * 0.01 + prompt.mean() * 0.1


def run(text: str | None, noise: Tensor, conditioning: Conditioning = UNSTEERED, **sampling):
    model, steps = Mixer(), 3
    told = Sampling(
        make_scheduler("unipc", steps, 3.0),
        Guidance(2.0),
        windows=options(text) if text else None,
        **sampling,
    )
    done: list[int] = []
    clip = denoise(model, noise, PROMPTS, conditioning, told, lambda step, expected: done.append(step))
    assert done == [1, 2, 3]
    return clip, model


@pytest.mark.parametrize("schedule", ["static", "uniform", "sliding fuse=linear"])
@pytest.mark.parametrize("frames", [17, 33])
def test_a_window_over_the_whole_clip_is_the_run_without_windows_bit_by_bit(schedule, frames) -> None:
    noise = torch.randn(1, 16, 5, 2, 2)
    plain, _ = run(None, noise)
    windowed, _ = run(f"{schedule} frames={frames}", noise)
    assert torch.equal(plain, windowed)
    assert freely_shuffled(noise, options(f"{schedule} frames={frames}"), 1).equal(noise)


def test_the_model_sees_no_more_than_a_window_and_twice_for_both_prompts() -> None:
    _, model = run("static overlap=8", torch.randn(1, 16, 12, 2, 2))
    assert {latents.shape[2] for latents, _ in model.seen} == {5}
    assert len(model.seen) == 3 * 4 * 2  # steps, windows, prompts


def test_a_step_is_the_weighted_mean_of_its_windows() -> None:
    noise = torch.randn(1, 1, 8, 1, 1)
    model = Mixer()
    told = Sampling(make_scheduler("euler", 1, 1.0), Guidance(1.0), windows=options("static overlap=8"))
    clip = denoise(model, noise, ALONE, Conditioning(), told, lambda step, expected: None)
    first, second = (
        Mixer()(noise[:, :, part], None, ALONE.positive, None) for part in (slice(5), slice(3, 8))
    )
    mixed = torch.cat(
        [
            first[:, :, :3],
            first[:, :, 3:4] * 2 / 3 + second[:, :, :1] / 3,
            first[:, :, 4:] / 3 + second[:, :, 1:2] * 2 / 3,
            second[:, :, 2:],
        ],
        dim=2,
    )
    torch.testing.assert_close(clip, noise - mixed, rtol=0, atol=1e-6)


def test_every_option_changes_the_clip() -> None:
    """The last window of 24 latent frames is moved back (static) or short (sliding)."""
    noise = torch.randn(1, 16, 24, 2, 2)
    asked = (
        *("static", "uniform", "looped", "sliding", "uniform stride=8", "looped stride=8"),
        *("static frames=13", "static overlap=12", "static fuse=linear", "static freenoise=off"),
    )
    clips = []
    for text in asked:
        free = "freenoise=off" not in text
        clips.append(run(text, freely_shuffled(noise, options(text), 1) if free else noise)[0])
    for one, other in itertools.combinations(clips, 2):
        assert not torch.allclose(one, other, atol=1e-4)


def test_a_loop_has_no_frame_that_is_always_first() -> None:
    """Whatever depends on the place in the window is spread over all frames by the turning."""

    class Place(Mixer):
        def forward(self, latents, timestep, prompt, given):
            return torch.zeros_like(latents) + (torch.arange(latents.shape[2]) == 0)[:, None, None].float()

    told = Sampling(make_scheduler("euler", 8, 1.0), Guidance(1.0), windows=options("looped"))
    clip = denoise(Place(), torch.zeros(1, 1, 4, 1, 1), ALONE, Conditioning(), told, lambda *told: None)
    torch.testing.assert_close(clip.flatten(), torch.full((4,), -0.25))


def test_cancelling_between_windows_ends_the_step() -> None:
    model, between = Mixer(), []

    def stop() -> None:
        between.append(len(model.seen))
        if len(between) == 2:
            raise Cancelled

    told = Sampling(make_scheduler("euler", 2, 1.0), Guidance(1.0), windows=options("static overlap=8"))
    with pytest.raises(Cancelled):
        denoise(model, torch.randn(1, 16, 12, 2, 2), ALONE, Conditioning(), told, lambda *told: None, stop)
    assert between == [1, 2]


def test_a_step_cache_keeps_each_window_apart() -> None:
    """At a threshold of 0 nothing changes; beyond, each window reuses what it had itself."""
    noise, sigmas = torch.randn(1, 16, 12, 2, 2), make_scheduler("unipc", 3, 3.0).sigmas
    plain, _ = run("static overlap=8", noise)
    cached, model = run("static overlap=8", noise, cache=EasyCache(0.0, sigmas))
    assert torch.equal(plain, cached)
    assert len(model.seen) == 24
    asked: list[tuple[int, tuple[str, ...]]] = []

    class Noting(StepCache):
        def velocity(self, transformer: nn.Module, call: Pass) -> Tensor:
            asked.append((call.window, call.branches))
            return super().velocity(transformer, call)

    run("static overlap=8", noise, cache=Noting())
    assert asked == [(window, (branch,)) for window in range(4) for branch in ("prompt", "null")] * 3


# -- what each window is given --------------------------------------------------------------------

TOTAL = 8
CHANNELS = torch.arange(TOTAL, dtype=torch.float32)[None, None, :, None, None].expand(1, 3, TOTAL, 1, 1)
LATER = (3, 4, 5)
LAST = (5, 6, 7)


def numbers(tensor: Tensor) -> list[list[float]]:
    """(1, C, W, 1, 1) -> C lists."""
    return tensor[0, :, :, 0, 0].tolist()


def channels(frames: tuple[int, ...], anchor: bool, followed: int = 0) -> list[list[float]]:
    conditioning = Conditioning(DiTConditioning(channel_latents=CHANNELS), followed_channels=followed)
    return numbers(through_window(conditioning, frames, TOTAL, anchor).dit.channel_latents)


def test_a_picture_begins_every_window_or_the_first_alone() -> None:
    assert channels((0, 1, 2), anchor=True) == [[0, 1, 2]] * 3
    assert channels(LATER, anchor=True) == [[0, 1, 2]] * 3
    assert channels(LATER, anchor=False) == [[3, 4, 5]] * 3


def test_a_last_picture_ends_the_last_window() -> None:
    assert channels(LAST, anchor=True) == [[0, 1, 7]] * 3
    assert channels(LAST, anchor=False) == [[5, 6, 7]] * 3


def test_a_control_is_followed_where_the_window_lies_and_its_picture_is_not() -> None:
    assert channels(LATER, anchor=True, followed=1) == [[3, 4, 5], [0, 1, 2], [0, 1, 2]]


def test_references_before_the_clip_are_in_every_window() -> None:
    context = torch.arange(TOTAL + 2, dtype=torch.float32)[None, None, :, None, None]
    given = DiTConditioning(vace_latents=context, vace_scale=0.5)
    conditioning = Conditioning(given, idle=dataclasses.replace(given, vace_scale=0.0), front_frames=2)
    seen = through_window(conditioning, LATER, TOTAL, anchor=True)
    assert numbers(seen.dit.vace_latents) == [[0, 1, 5, 6, 7]]
    assert (seen.dit.vace_scale, seen.idle.vace_scale, seen.front_frames) == (0.5, 0.0, 2)


def test_references_before_the_clip_take_part_in_the_mean_of_all_windows() -> None:
    noise = torch.randn(1, 16, 2 + 12, 2, 2)
    clip, model = run("static overlap=8", noise, Conditioning(front_frames=2))
    assert clip.shape[2] == 12
    assert {latents.shape[2] for latents, _ in model.seen} == {7}
    for latents, _ in model.seen[:8]:
        assert torch.equal(latents[:, :, :2], noise[:, :, :2])


def test_a_camera_goes_with_its_frames() -> None:
    rays = torch.arange(TOTAL, dtype=torch.float32)[None, None, :, None, None]
    seen = through_window(Conditioning(DiTConditioning(camera=rays)), LATER, TOTAL, anchor=True)
    assert numbers(seen.dit.camera) == [[3, 4, 5]]


def test_a_video_that_is_rendered_again_goes_with_its_frames_and_references_do_not() -> None:
    frames, path = CHANNELS, torch.arange(TOTAL, dtype=torch.float32)[None, :, None]
    again = Conditioning(DiTConditioning(frame_latents=frames, camera_path=path))
    seen = through_window(again, LATER, TOTAL, anchor=True).dit
    assert numbers(seen.frame_latents) == [[3, 4, 5]] * 3
    assert seen.camera_path.flatten().tolist() == [3, 4, 5]
    references = Conditioning(DiTConditioning(frame_latents=frames[:, :, :2]))
    assert through_window(references, LATER, TOTAL, anchor=True).dit.frame_latents.shape[2] == 2


def test_what_is_of_the_whole_clip_and_what_passes_share_stays_the_same_object() -> None:
    """So that what is made of a picture is made once."""
    given = DiTConditioning(image_embeds=torch.zeros(1, 2, 3), reference_latents=torch.zeros(1, 3, 1, 1))
    conditioning = Conditioning(given, null=given)
    seen = through_window(conditioning, LATER, TOTAL, anchor=True)
    assert seen.dit is seen.null
    assert seen.dit.image_embeds is given.image_embeds
    assert seen.dit.reference_latents is given.reference_latents


# -- noise ----------------------------------------------------------------------------------------


def test_later_windows_have_the_noise_of_the_first_in_another_order() -> None:
    noise = torch.randn(1, 4, 23, 2, 2)
    free = freely_shuffled(noise, options("static overlap=8"), seed=3)
    assert torch.equal(free[:, :, :5], noise[:, :, :5])
    order = [
        next(place for place in range(5) if free[0, :, frame].equal(noise[0, :, place]))
        for frame in range(23)
    ]
    for start in (3, 6, 9, 12, 15, 18):
        assert sorted(order[start : start + 5]) == [0, 1, 2, 3, 4]
    assert order != [place % 5 for place in range(23)]
    assert torch.equal(free, freely_shuffled(noise, options("static overlap=8"), seed=3))
    assert not torch.equal(free, freely_shuffled(noise, options("static overlap=8"), seed=4))


def test_the_noise_of_references_is_left_alone() -> None:
    noise = torch.randn(1, 4, 2 + 12, 2, 2)
    free = freely_shuffled(noise, options("static"), seed=3, front=2)
    assert torch.equal(free[:, :, :7], noise[:, :, :7])
    assert free.shape == noise.shape and not torch.equal(free, noise)


def test_what_is_as_long_as_the_clip_comes_to_the_device_window_by_window() -> None:
    given = DiTConditioning(channel_latents=CHANNELS, image_embeds=torch.zeros(1, 2, 3))
    conditioning, noise = (
        Conditioning(given, start=torch.zeros(1, 3, TOTAL, 1, 1)),
        torch.zeros(1, 3, TOTAL, 1, 1),
    )
    device = torch.device("meta")
    cut = Windowing(options("static"), StepCache()).placed(conditioning, noise, device)
    assert (cut.dit.channel_latents.device.type, cut.dit.image_embeds.device.type) == ("cpu", "meta")
    assert cut.start.device.type == "meta"
    whole = Windowing(options("static frames=33"), StepCache()).placed(conditioning, noise, device)
    assert whole.dit.channel_latents.device.type == "meta"
    turned = Windowing(options("looped frames=33"), StepCache()).placed(conditioning, noise, device)
    assert turned.dit.channel_latents.device.type == "cpu"


@pytest.mark.parametrize(
    "schedule", ["static overlap=8", "uniform overlap=8", "sliding overlap=8 fuse=linear"]
)
@pytest.mark.parametrize("cached", [False, True], ids=["every step", "cached"])
@torch.inference_mode()
def test_passes_in_one_batch_make_the_same_clip_in_windows(schedule: str, cached: bool) -> None:
    torch.manual_seed(2)
    dit = randomise(WanDiT(T2V)).eval()
    noise, prompt = torch.randn(1, 16, 12, 4, 4), torch.randn(1, 5, T2V.text_dim)
    prompts = PromptEmbeds(prompt, prompt[:, :3].flip(2))

    def clip(merges: bool, threshold: float = 20.0) -> Tensor:
        scheduler = make_scheduler("unipc", 6, 3.0)
        cache = EasyCache(threshold, scheduler.sigmas) if cached else StepCache()
        told = Sampling(scheduler, Guidance(3.0), cache=cache, windows=options(schedule), merges=merges)
        return denoise(dit, noise, prompts, UNSTEERED, told, lambda step, expected: None)

    torch.testing.assert_close(clip(merges=True), clip(merges=False), rtol=1e-5, atol=1e-5)
    assert cached != torch.equal(clip(merges=True), clip(merges=True, threshold=0.0))

"""What a VACE model is taught: what is given is true, and what is made anew is not given away."""

import dataclasses
import random

import pytest
import torch

from wan_core.catalog.demo import DEMO
from wan_core.training import vae_training
from wan_core.training.captions import motion_caption
from wan_core.training.vace_examples import CLIPS_PER_GROUP, journey_box, vace_example, vace_scene
from wan_core.training.vace_training import VaceClips
from wan_core.training.world import SHAPES, Scene, Thing, draw

EXAMPLES = [(group, index) for group in CLIPS_PER_GROUP for index in range(12)]


@pytest.mark.parametrize("group", CLIPS_PER_GROUP)
def test_what_is_kept_is_the_clip_itself(group):
    for index in range(12):
        example = vace_example(group, index)
        assert example.clip.shape == (3, int(group.split("-")[0]), 64, 64) == example.frames.shape
        assert example.mask.shape == (1, *example.clip.shape[1:])
        assert set(example.mask.unique().tolist()) <= {0.0, 1.0} and example.mask.any()
        kept = example.mask.expand_as(example.clip) == 0
        assert torch.equal(example.frames[kept], example.clip[kept])
        assert (example.reference is not None) == group.endswith("reference")


def test_what_is_made_anew_is_grey_or_shows_outlines_only():
    for group, index in EXAMPLES:
        example = vace_example(group, index)
        new = example.frames[example.mask.expand_as(example.frames) == 1].view(3, -1)
        assert torch.equal(new[0], new[1]) and torch.equal(new[1], new[2])  # no colour is given away


def test_all_kinds_are_taught():
    masks = [vace_example("17", index).mask for index in range(60)]
    shares = [mask.mean().item() for mask in masks]
    still = [bool((mask == mask[:, :1]).all()) for mask in masks]
    assert 15 < shares.count(1.0) < 35  # edges, or nothing given
    assert 6 < still.count(False) < 24  # frames that stay
    assert sum(0 < share < 1 and same for share, same in zip(shares, still, strict=True)) > 15


@pytest.mark.parametrize("shape", SHAPES)
def test_the_box_of_a_journey_holds_all_of_it(shape):
    thing = Thing("yellow", shape, "bounce", 12.0, 0.3, 0.5)
    box = journey_box(thing, "night", 17)
    clip, empty = draw(Scene((thing,), "night"), 17), draw(Scene((), "night"), 17)
    clip[..., box.rows, box.columns] = empty[..., box.rows, box.columns]
    torch.testing.assert_close(clip, empty, atol=0.05, rtol=0)
    assert box.width < 45


def test_a_sentence_for_a_reference_leaves_out_who_appears():
    rng = random.Random(0)
    scene = vace_scene("17-reference", 1)
    (thing,) = scene.things
    for _ in range(50):
        text = motion_caption(scene, rng, chinese=0.0)
        assert thing.colour not in text and thing.shape not in text


@pytest.mark.parametrize(("group", "frames"), [("9", 3), ("9-reference", 4)])
def test_kept_tensors_have_the_official_layout(group, frames):
    vae = vae_training.build(dataclasses.replace(DEMO.vae, dim=4)).eval()
    index = next(i for i in range(50) if vace_example(group, i).mask.min() == 0)
    kept = VaceClips(vae).make(group, index)
    assert kept["latents"].shape == (16, frames, 8, 8)
    assert kept["context"].shape == (32, frames, 8, 8) and kept["mask"].shape == (64, frames, 8, 8)
    if frames == 4:  # the reference stands before: its own latent, then zeros
        assert torch.equal(kept["context"][:16, 0], kept["latents"][:, 0])
        assert not kept["context"][16:, 0].any() and not kept["mask"][:, 0].any()
    example = vace_example(group, index)
    first = example.mask[0, 0].view(8, 8, 8, 8).permute(1, 3, 0, 2).reshape(64, 8, 8)
    assert torch.equal(kept["mask"][:, frames - 3].float(), first)

"""The rows of the demo models that are being trained: files in the official layout run through the engine.

Their weights are untrained here, so that the clips are those of the text model; the benchmark's own
measures are held to drawn clips.
"""

import dataclasses

import numpy as np
import pytest
import torch

from benchmarks import adherence_steered, demo_adherence
from benchmarks.adherence_studio import Row, Studio, pixels
from benchmarks.detector import is_smooth, overlap, psnr, thing_masks
from wan_core.catalog import MODELS, Role
from wan_core.catalog.demo import DEMO, DEMO_IMAGE, DEMO_VACE
from wan_core.manager.loading import load_transformer
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit.model import WanDiT
from wan_core.training.export import export_image_encoder, export_transformer
from wan_core.training.warm_start import start_as
from wan_core.training.world import Scene, Thing, draw

MB = 1_000_000
STAR = Thing("yellow", "star", "bounce", 12.0, 0.3, 0.5)


class QuickStudio(Studio):
    def make(self, model: str, task: str, prompt: str, seed: int, **fields: object) -> np.ndarray:
        return super().make(model, task, prompt, seed, num_inference_steps=1, num_frames=5, **fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo's folder with the files that training writes, from weights that begin as the demo's."""
    folder = tmp_path_factory.mktemp("demo")
    for path in DEMO.folder.iterdir():
        (folder / path.name).symlink_to(path)
    base = load_transformer(DEMO.folder, DEMO.weights[Role.TRANSFORMER].files, torch.float32)
    torch.manual_seed(0)
    for spec, name in ((DEMO_IMAGE, "image"), (DEMO_VACE, "vace")):
        dit = WanDiT(spec.dit)
        start_as(base, dit)
        (folder / name).unlink(missing_ok=True)
        export_transformer(dit, folder / name)
    export_image_encoder(CLIPImageEncoder(DEMO_IMAGE.image_encoder), folder / "image")
    return folder


@pytest.fixture
def studio(folder, tmp_path, monkeypatch):
    for spec in (DEMO_IMAGE, DEMO_VACE):
        monkeypatch.setitem(MODELS, spec.id, dataclasses.replace(spec, folder=folder))
    monkeypatch.setattr(adherence_steered, "FRAMES", 5)
    return QuickStudio(tmp_path)


def test_the_files_are_small_enough_to_ship(folder):
    sizes = [path.stat().st_size for name in ("image", "vace") for path in (folder / name).iterdir()]
    assert max(sizes) < 10 * MB and sum(sizes) < 27 * MB


@pytest.mark.parametrize(("name", "suite"), adherence_steered.SUITES.items())
def test_every_suite_runs_through_the_engine(name, suite, studio):
    _, rows = suite
    found = rows(studio, 500)
    assert studio.made == {"v2v": 6, "inpainting": 4}.get(name, 2)
    assert all(np.isfinite(row.value) for row in found)


def test_models_that_are_not_there_are_left_out(monkeypatch):
    monkeypatch.setattr(demo_adherence, "SUITES", {"edges": ("no such model", None)})
    assert demo_adherence.steered_report(None, True, []) == []


def test_rows_say_what_they_miss():
    assert str(Row("a", 0.5, 0.8)) == "a: 50.0%, target 80.0%, MISSED"
    assert str(Row("b", 25.06, 25.0, "dB")) == "b: 25.06 dB, target 25.00 dB"


def test_the_measures_know_a_drawn_clip():
    scene = Scene((STAR,), "night")
    clip, other = pixels(draw(scene, 17)), pixels(draw(Scene((STAR,), "sky"), 17))
    masks = thing_masks(clip)
    assert overlap(masks, thing_masks(other)) > 0.9
    assert overlap(masks, np.roll(masks, 24, axis=2)) < 0.1
    assert is_smooth(masks)
    assert not is_smooth(masks[::4]) and not is_smooth(
        np.where(np.arange(17)[:, None, None] == 5, False, masks)
    )
    noisy = np.clip(clip.astype(int) + 10, 0, 255).astype(np.uint8)
    assert psnr(noisy, clip, where=np.arange(64) < 4) == pytest.approx(28.13, abs=0.01)
    assert psnr(clip, clip) > 70

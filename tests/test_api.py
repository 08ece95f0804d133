"""A model from an id or from one's own files, and called; nothing is asked of the network."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny import DIT_FILE, TOKENIZER_FILE, UMT5_FILE, VAE_FILE
from wan_core.api import Component, WanPipeline
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.media.read import read_video
from wan_core.schema import InvalidRequest, Settings, WeightsError

PROMPT = "a red circle moves to the left"


@pytest.fixture
def files(tiny: ModelSpec, tmp_path: Path) -> dict[str, Path]:
    """The tiny model's parts where a person keeps them: ComfyUI's names, two shards."""
    state = load_file(tiny.folder / DIT_FILE)
    names = sorted(state)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    paths = {}
    for number, half in enumerate(halves, 1):
        path = tmp_path / f"dit-0000{number}-of-00002.safetensors"
        save_file({f"model.diffusion_model.{name}": state[name] for name in half}, path)
        paths[f"shard{number}"] = path
    for part, name in (("text", UMT5_FILE), ("vae", VAE_FILE), ("tokenizer", TOKENIZER_FILE)):
        paths[part] = tmp_path / "parts" / Path(name).name
        paths[part].parent.mkdir(exist_ok=True)
        paths[part].write_bytes((tiny.folder / name).read_bytes())
    return paths


def frames(path: Path) -> np.ndarray:
    return read_video(path).frames


def test_a_model_is_loaded_by_its_id_and_called(tiny, settings, tmp_path):
    pipe = WanPipeline.load("tiny", settings=settings)
    result = pipe(PROMPT, seed=1, output=tmp_path / "out.mp4")
    assert result.video == tmp_path / "out.mp4"
    assert (result.request.model, result.request.task, result.request.seed) == ("tiny", "t2v", 1)
    assert pipe.engine.manager.loaded()
    pipe.unload()
    assert not pipe.engine.manager.loaded()


def test_a_model_of_local_files_alone_makes_the_same_video(files, settings):
    expected = WanPipeline.load("tiny", settings=settings)(PROMPT, seed=1).video
    pipe = WanPipeline.load(
        components={
            "transformer": [files["shard1"], str(files["shard2"])],
            "text_encoder": files["text"],
            "vae": Component(files["vae"]),
        },
        tokenizer=files["tokenizer"].parent,
        settings=settings,
    )
    assert pipe.spec.id == "tiny"
    assert pipe.spec.weights[Role.TRANSFORMER].files == (str(files["shard1"]), str(files["shard2"]))
    assert pipe.spec.tokenizer.files == (str(files["tokenizer"]),)
    found = pipe(PROMPT, seed=1).video
    assert np.array_equal(frames(found), frames(expected))


@pytest.mark.parametrize("dtype", ["fp8_scaled", "int8", "bf16"])
def test_each_component_has_its_own_precision_and_place(tiny, settings, dtype):
    pipe = WanPipeline.load(
        "tiny",
        {
            "transformer": Component(dtype=dtype, offload="disk"),
            "text_encoder": Component(dtype="bf16", device="cpu"),
            "vae": Component(dtype="fp32"),
        },
        settings=settings,
    )
    manager = pipe.engine.manager
    with manager.use(tiny, Role.TRANSFORMER, print) as dit:
        kept = {tensor.dtype for name, tensor in dit.blocks.state_dict().items() if "q." in name}
        assert (torch.bfloat16 if dtype == "bf16" else torch.uint8 if dtype != "int8" else torch.int8) in kept
        assert Role.TRANSFORMER in manager.loaded()
    assert Role.TRANSFORMER not in manager.loaded()  # it waits on the disk
    with manager.use(tiny, Role.TEXT_ENCODER, print) as encoder:
        assert encoder.shared.weight.dtype == torch.bfloat16
    assert Role.TEXT_ENCODER in manager.loaded()
    assert pipe(PROMPT, seed=1).video.stat().st_size > 0


def test_folders_are_named_for_what_they_hold(files, tiny, settings, monkeypatch):
    """The transformer is a folder of shards; the other parts are found in a folder of models, not fetched."""
    shards, models = files["shard1"].parent / "shards", files["vae"].parent.parent / "models"
    shards.mkdir()
    for name in ("shard1", "shard2"):
        files[name].rename(shards / files[name].name)
    official = models / "Tiny-1B"
    shutil.copytree(tiny.folder, official)
    (official / DIT_FILE).unlink()
    row = dataclasses.replace(tiny, folder=None, repo="Somebody/Tiny-1B", revision="main")
    monkeypatch.setitem(MODELS, "tiny", row)
    options = {"settings": settings.model_copy(update={"offline": False}), "skip_download": True}
    with pytest.raises(WeightsError, match="is not on this machine and the studio is offline"):
        WanPipeline.load("Somebody/Tiny-1B", {"transformer": shards}, **options)
    pipe = WanPipeline.load("Somebody/Tiny-1B", {"transformer": shards}, local_model_folder=models, **options)
    assert pipe.spec.id == "tiny"
    assert len(pipe.spec.weights[Role.TRANSFORMER].files) == 2
    assert pipe(PROMPT, seed=1).video.stat().st_size > 0


def test_media_are_given_as_paths_and_decide_the_task(tiny, settings, tmp_path):
    pipe = WanPipeline.load("tiny", settings=settings)
    clip = pipe(PROMPT, seed=1).video
    result = pipe(PROMPT, seed=2, video=clip, strength=0.5, num_inference_steps=2)
    assert result.request.task == "v2v"
    picture = tmp_path / "a.png"
    Image.new("RGB", (32, 32)).save(picture)
    with pytest.raises(InvalidRequest, match="image"):
        pipe(PROMPT, image=str(picture))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"components": {"unet": "x"}}, "'unet' is no part of a model"),
        ({"components": {"image_encoder": Component(dtype="bf16")}}, "Tiny has no image_encoder"),
        ({"components": {"vae": Component(dtype="fp8_scaled")}}, "vae cannot be kept as 'fp8_scaled'"),
        (
            {"components": {"transformer": Component(offload="moon")}},
            "cannot be kept as 'moon'. Choose one of",
        ),
        ({"components": {"transformer": Component(device="cuda:7")}}, "cannot be kept as 'cuda:7'"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_is_refused_before_anything_is_loaded(settings, arguments, sentence):
    with pytest.raises(InvalidRequest, match=sentence):
        WanPipeline.load("tiny", settings=settings, **arguments)


def test_files_of_something_else_are_refused(files, settings: Settings, tmp_path):
    with pytest.raises(InvalidRequest, match="neither a model nor a transformer"):
        WanPipeline.load(settings=settings)
    with pytest.raises(WeightsError, match=r"is a Wan VAE of width 8, which is no transformer"):
        WanPipeline.load(components={"transformer": files["vae"]}, settings=settings)
    for part, file, is_ in (("transformer", "vae", "a Wan VAE"), ("vae", "text", "a umT5 text encoder")):
        with pytest.raises(WeightsError, match=rf"is {is_} of width \d+, not the {part} of Tiny; choose"):
            WanPipeline.load("tiny", {part: files[file]}, settings=settings)
    (tmp_path / "parts" / "none").mkdir()
    with pytest.raises(WeightsError, match="holds no checkpoint; name one file of a model"):
        WanPipeline.load("tiny", {"vae": tmp_path / "parts" / "none"}, settings=settings)
    with pytest.raises(WeightsError, match=r"nowhere\.gguf is missing"):
        WanPipeline.load("tiny", {"transformer": tmp_path / "nowhere.gguf"}, settings=settings)
    with pytest.raises(WeightsError, match="holds no tokenizer"):
        WanPipeline.load("tiny", tokenizer=tmp_path, settings=settings)
    with pytest.raises(WeightsError, match="is not on this machine and the studio is offline"):
        WanPipeline.load("wan2.1-t2v-1.3b", settings=settings)

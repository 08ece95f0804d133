"""LoRAs from request to video, with the tiny model: found, worn or merged, reported, taken off."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.lora.making import RANK, Tensors, noise
from wan_core.catalog import ModelSpec, Role
from wan_core.engine import Engine
from wan_core.lora.shelf import find_lora, list_loras
from wan_core.manager.lora_cards import lora_bytes
from wan_core.manager.lora_files import open_lora
from wan_core.media.metadata import read_request
from wan_core.media.write import write_video
from wan_core.pipelines.latents import load_latents
from wan_core.schema import (
    GenerationRequest,
    GenerationResult,
    InvalidRequest,
    OutOfMemory,
    ProgressEvent,
    Settings,
    Stage,
    WeightsError,
)
from wan_core.schema.lora import BlockFilter, LoraUse

Q = "diffusion_model.blocks.0.self_attn.q"


def style(scale: float = 1.0) -> Tensors:
    return {
        f"{Q}.lora_down.weight": noise(RANK, 48, size=1.0),
        f"{Q}.lora_up.weight": noise(48, RANK, seed=2, size=scale),
        "diffusion_model.blocks.1.modulation.diff": noise(1, 6, 48, seed=3, size=scale),
    }


@pytest.fixture
def loras(settings: Settings) -> Path:
    """The folder of LoRAs, with style.safetensors in it."""
    settings.loras_dir.mkdir(parents=True)
    save_file(style(), settings.loras_dir / "style.safetensors")
    return settings.loras_dir


@pytest.fixture
def engine(settings: Settings, tiny: ModelSpec) -> Engine:
    return Engine(settings)


def made(
    engine: Engine, *loras: dict[str, object], **values: object
) -> tuple[GenerationResult, torch.Tensor]:
    request = GenerationRequest(model="tiny", prompt="a red circle", seed=5, loras=loras, **values)
    name = f"{abs(hash(repr(request))):x}-{len(list(engine.settings.latents_dir.glob('*')))}"
    result = engine.generate(request, job_id=name)
    return result, load_latents(engine.latents_path(name))[0]


def test_a_job_wears_its_loras_and_the_next_is_bare_again(engine: Engine, loras: Path) -> None:
    loaded: list[ProgressEvent] = []
    _, bare = made(engine)
    result, styled = made(engine, {"file": "style.safetensors", "strength": 0.8})
    request = GenerationRequest(model="tiny", prompt="a red circle", seed=5)
    engine.generate(request, emit=loaded.append, job_id="again")
    assert not torch.allclose(styled, bare, atol=1e-3)
    assert torch.equal(load_latents(engine.latents_path("again"))[0], bare)
    assert Stage.LOAD not in {event.stage for event in loaded if event.part == Role.TRANSFORMER}
    assert "style.safetensors (ComfyUI): 2 of 2 parts fit." in result.warnings


def test_merged_makes_what_worn_makes_and_is_undone_by_reading_again(engine: Engine, loras: Path) -> None:
    bare = made(engine)[1]
    worn = made(engine, {"file": "style.safetensors", "strength": -1.0})[1]
    merged = made(engine, {"file": "style.safetensors", "strength": -1.0, "merge": True})[1]
    torch.testing.assert_close(merged, worn, atol=1e-4, rtol=1e-4)
    assert len(engine.manager.loaded()) == 3
    again = made(engine)[1]
    assert torch.equal(again, bare)


def test_what_stays_in_its_file_is_not_changed_but_worn(
    engine: Engine, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = {"file": "style.safetensors", "strength": -1.0}
    worn = made(engine, use)[1]
    monkeypatch.setattr(engine.manager, "_stays_in_file", lambda spec, role: True)
    result, latents = made(engine, {**use, "merge": True})
    assert torch.equal(latents, worn)
    assert any("not merged, as there is no RAM" in words for words in result.warnings)


def test_a_strength_per_step_counts_from_the_first(engine: Engine, loras: Path) -> None:
    all_steps = made(engine, {"file": "style.safetensors", "strength": 1.0})[1]
    listed = made(engine, {"file": "style.safetensors", "strength": [1.0, 1.0, 1.0]})[1]
    assert torch.equal(all_steps, listed)
    first = made(engine, {"file": "style.safetensors", "strength": [1.0, 0.0]})[1]
    last = made(engine, {"file": "style.safetensors", "strength": [0.0, 0.0, 1.0]})[1]
    bare = made(engine)[1]
    assert len({tensor.sum().item() for tensor in (all_steps, first, last, bare)}) == 4


def test_a_lora_that_was_worn_when_memory_ran_out_leaves_nothing_behind(
    engine: Engine, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = made(engine)[1]

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("wan_core.pipelines.generation.denoise", fail)
        with pytest.raises(OutOfMemory):
            made(engine, {"file": "style.safetensors"})
    assert torch.equal(made(engine)[1], bare)


def test_a_file_of_another_family_is_refused_before_anything_is_computed(engine: Engine, loras: Path) -> None:
    save_file(
        {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": noise(4, 8)}, loras / "f.safetensors"
    )
    stages: list[Stage] = []
    request = GenerationRequest(model="tiny", prompt="x", loras=[{"file": "f.safetensors"}])
    with pytest.raises(WeightsError, match=r"f.safetensors looks like a LoRA for Flux, not for Wan; choose"):
        engine.generate(request, emit=lambda event: stages.append(event.stage))
    assert stages == []


def test_a_control_lora_follows_the_video(engine: Engine, loras: Path, tmp_path: Path) -> None:
    down, up = noise(RANK, 32, 1, 2, 2, size=1.0), noise(48, RANK, 1, 1, 1, seed=2, size=1.0)
    names = ("diffusion_model.patch_embedding.lora_A.weight", "diffusion_model.patch_embedding.lora_B.weight")
    save_file(dict(zip(names, (down, up), strict=True)), loras / "tile.safetensors")
    clips = []
    for shade in (40, 200):
        frames = np.full((5, 32, 32, 3), shade, np.uint8)
        frames[:, 8:16] = 255 - shade
        write_video([frames], tmp_path / f"{shade}.mp4", 8, 10, {})
        clips.append(engine.inputs.keep(tmp_path / f"{shade}.mp4"))
    use = {"file": "tile.safetensors"}
    wholly = {"task": "v2v", "strength": 1.0, "match_input": False, "scheduler": "euler"}
    one, other = (made(engine, use, video=clip, **wholly)[1] for clip in clips)
    bare = [made(engine, video=clip, **wholly)[1] for clip in clips]
    assert torch.equal(*bare)  # at full strength a video counts for nothing but this
    assert not torch.allclose(one, other, atol=1e-3)
    result, _ = made(engine, use)
    assert "A Control-LoRA follows a video and has none here; use it with video to video." in result.warnings


def test_the_request_in_the_file_gives_the_loras_again(engine: Engine, loras: Path) -> None:
    use = {"file": "style.safetensors", "strength": [1.0, 0.25], "blocks": "0-1, ffn"}
    result, _ = made(engine, use)
    found = read_request(result.video)
    assert found.loras == (LoraUse(**use),)
    assert json.loads(found.model_dump_json())["loras"][0] == {**use, "merge": False}


@pytest.mark.parametrize(
    "name",
    ["../a.safetensors", "/etc/a.safetensors", "a/../b.safetensors", "a\\b.safetensors", "C:a.safetensors",
     "a.txt", "", ".safetensors/../x.safetensors", "a\0.safetensors", "x" * 300 + ".safetensors",
     "a//b.safetensors"],
)  # fmt: skip
def test_a_name_cannot_lead_out_of_the_folders(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        GenerationRequest.parse({"loras": [{"file": name}]})
    assert error.value.field == "loras"
    with pytest.raises(InvalidRequest):
        find_lora(settings, name)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"strength": 2.1}, "less than or equal to 2"),
        ({"strength": []}, "valid number"),
        ({"strength": [0.5, -3]}, "valid number"),
        ({"strength": float("nan")}, "finite"),
        ({"blocks": "9-1"}, "is no block"),
        ({"blocks": "head"}, "is no block"),
        ({"strength": [1, 0], "merge": True}, "cannot be merged"),
        ({"weight": 1}, "Extra inputs"),
    ],
)
def test_what_a_use_cannot_say_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(words)):
        GenerationRequest.parse({"loras": [{"file": "a.safetensors", **values}]})


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("a.safetensors", LoraUse(file="a.safetensors")),
        ("b/a.safetensors:0.5", LoraUse(file="b/a.safetensors", strength=0.5)),
        ("a.safetensors:1,0,-0.5", LoraUse(file="a.safetensors", strength=(1, 0, -0.5))),
        ("a.safetensors:1:0-9,ffn", LoraUse(file="a.safetensors", blocks="0-9,ffn")),
    ],
)
def test_a_lora_is_read_from_the_command_line(text: str, use: LoraUse) -> None:
    assert LoraUse.read(text) == use


def test_block_filters() -> None:
    assert BlockFilter.parse("0-2, 5").blocks == {0, 1, 2, 5}
    assert BlockFilter.parse("").allows("head.head")
    assert not BlockFilter.parse("1").allows("vace_blocks.1.ffn.0")
    assert BlockFilter.parse("1 other").allows("vace_blocks.1.ffn.0")
    assert BlockFilter.parse("other").allows("blocks.3.norm3")


def test_loras_are_found_in_all_folders_the_studios_own_first(settings: Settings, tmp_path: Path) -> None:
    comfy, plain = tmp_path / "ComfyUI", tmp_path / "loras"
    settings = settings.model_copy(update={"model_folders": (comfy, plain, tmp_path / "gone")})
    places = (settings.loras_dir, comfy / "models" / "loras" / "wan", plain)
    for folder in places:
        folder.mkdir(parents=True)
    for path in (
        places[0] / "one.safetensors",
        places[1] / "two.safetensors",
        places[2] / "one.safetensors",
        places[2] / "Three.safetensors",
        places[2] / "notes.txt",
        places[2] / ".hidden.safetensors",
    ):
        path.write_bytes(b"")
    assert list_loras(settings) == ["one.safetensors", "Three.safetensors", "wan/two.safetensors"]
    assert find_lora(settings, "one.safetensors") == places[0] / "one.safetensors"
    assert find_lora(settings, "wan/two.safetensors") == places[1] / "two.safetensors"
    with pytest.raises(
        InvalidRequest, match=r"'four.safetensors' is not in any folder of LoRAs. Put it into"
    ):
        find_lora(settings, "four.safetensors")


def test_comfyuis_loras_are_found_unasked(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    path = tmp_path / "ComfyUI" / "models" / "loras" / "wan" / "two.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert list_loras(settings) == ["wan/two.safetensors"]
    assert find_lora(settings, "wan/two.safetensors") == path


def test_a_damaged_file_is_refused_by_name(settings: Settings, loras: Path) -> None:
    (loras / "bad.safetensors").write_bytes(b"\xff" * 8 + b"{nonsense")
    with pytest.raises(WeightsError, match=r"The LoRA bad.safetensors cannot be used: "):
        open_lora(settings, LoraUse(file="bad.safetensors"))


def test_pefts_own_folder_says_its_alpha(settings: Settings, loras: Path) -> None:
    (loras / "mine").mkdir()
    save_file(
        {f"base_model.model.{key}": tensor for key, tensor in style().items()},
        loras / "mine" / "adapter_model.safetensors",
    )
    config = {"lora_alpha": 16, "r": 4, "use_rslora": False, "alpha_pattern": {"self_attn.q": 2}}
    (loras / "mine" / "adapter_config.json").write_text(json.dumps(config))
    scaling = open_lora(settings, LoraUse(file="mine/adapter_model.safetensors")).scaling
    assert scaling.of("base_model.model.blocks.0.ffn.0", RANK) == 4.0
    assert scaling.of("base_model.model.blocks.0.self_attn.q", RANK) == 0.5


def test_the_memory_that_loras_take_is_planned_with(engine: Engine, loras: Path) -> None:
    size = (loras / "style.safetensors").stat().st_size
    merged, gone = {"file": "style.safetensors", "merge": True}, {"file": "gone.safetensors"}
    request = GenerationRequest(loras=[{"file": "style.safetensors"}, merged, gone])
    assert lora_bytes(engine.settings, request) == size

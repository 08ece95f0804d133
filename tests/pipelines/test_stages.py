"""Each stage by itself: noise, prompts, latents files, previews, pixels."""

from __future__ import annotations

import io
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from wan_core.catalog import ModelSpec, Role, find_model, resolve
from wan_core.manager.model_manager import ModelManager
from wan_core.media.inputs import InputStore
from wan_core.models.vae.config import decoding_bytes
from wan_core.pipelines.components import VaeWay
from wan_core.pipelines.conditioning.types import ConditioningJob
from wan_core.pipelines.decoding import to_uint8
from wan_core.pipelines.generation import decode_latents, generate_latents
from wan_core.pipelines.latents import (
    load_latents,
    make_generator,
    prepare_noise,
    prune_latents,
    save_latents,
)
from wan_core.pipelines.preview import (
    OFFICIAL_LATENT_RGB,
    TABLE_FILE,
    LatentRGB,
    Previews,
    latents_to_rgb,
)
from wan_core.pipelines.prompt_encoding import EncodedPrompt, PromptCache, encode_prompts
from wan_core.schema import Emit, GenerationRequest, MediaError, ProgressEvent, Settings, Stage, WeightsError

pytestmark = pytest.mark.usefixtures("tiny")

TABLE = LatentRGB(tuple((0.1 * i, 0.0, 0.0) for i in range(16)), (0.0, 0.5, -1.0))


def making(manager: ModelManager, spec: ModelSpec, asked: GenerationRequest, emit: Emit) -> ConditioningJob:
    return ConditioningJob(manager, spec, asked, InputStore(Path("nowhere")), emit)


def request(**values: object) -> GenerationRequest:
    return resolve(GenerationRequest(model="tiny", **{"prompt": "a red circle", "seed": 1, **values}))


@pytest.fixture
def manager(settings: Settings) -> ModelManager:
    return ModelManager(settings)


def test_noise_is_the_seeds_alone(tiny: ModelSpec) -> None:
    def noise(**values: object) -> Tensor:
        asked = request(**values)
        return prepare_noise(tiny, asked, make_generator(asked))

    expected = torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(noise(), expected)
    assert torch.equal(noise(num_inference_steps=9, guidance_scale=2), expected)
    assert not torch.equal(noise(seed=2), expected)
    assert noise(seed=2**32 - 1, width=64, num_frames=9).shape == (1, 16, 3, 4, 8)


def test_each_stage_tells_how_much_room_it_needs(tiny: ModelSpec, manager: ModelManager) -> None:
    told: dict[Role, int] = {}
    use = manager.use

    def noting(
        spec: ModelSpec, role: Role, emit: Emit, working: int = 0, on_cpu: bool = False
    ) -> AbstractContextManager:
        told[role] = working
        return use(spec, role, emit, working, on_cpu=on_cpu)

    manager.use = noting
    asked = request(width=48, num_frames=9)
    job = making(manager, tiny, asked, lambda event: None)
    latents = generate_latents(job, PromptCache())
    assert len(list(decode_latents(job, latents, VaeWay()))) == 3
    tokens, dim = 3 * 2 * 3, 48
    assert told == {
        Role.TEXT_ENCODER: 0,
        Role.TRANSFORMER: 34 * tokens * dim,
        Role.VAE: 14_000 * 48 * 32 * 8 // 96 + 2**30,
    }


def test_room_to_work_covers_what_was_measured_of_the_official_models() -> None:
    """Peaks in GiB with the official sizes: of the VAE's stream."""
    small = find_model("wan2.1-t2v-1.3b")
    assert 5.1 < decoding_bytes(small.vae, 832, 480) / 2**30 - 1 < 5.3
    assert 11.4 < decoding_bytes(small.vae, 1280, 720) / 2**30 - 1 < 12.1


def test_cached_prompts_borrow_no_encoder(tiny: ModelSpec, manager: ModelManager) -> None:
    cache, events = PromptCache(), []
    first = encode_prompts(manager, tiny, request(), cache, events.append)
    assert set(manager.loaded()) == {Role.TEXT_ENCODER}
    manager.unload()
    again = encode_prompts(manager, tiny, request(seed=9), cache, events.append)
    assert manager.loaded() == {}
    assert torch.equal(first.positive, again.positive)
    assert torch.equal(first.negative, again.negative)
    encode_prompts(manager, tiny, request(negative_prompt="another"), cache, events.append)
    assert set(manager.loaded()) == {Role.TEXT_ENCODER}


def test_embeddings_have_the_prompts_own_length(tiny: ModelSpec, manager: ModelManager) -> None:
    embeds = encode_prompts(manager, tiny, request(negative_prompt=""), PromptCache(), lambda event: None)
    assert embeds.negative.shape == (1, 1, 32)  # the end mark alone
    assert 2 < embeds.positive.shape[1] < 40


def test_without_guidance_the_negative_prompt_is_not_encoded(tiny: ModelSpec, manager: ModelManager) -> None:
    embeds = encode_prompts(manager, tiny, request(guidance_scale=1), PromptCache(), lambda event: None)
    assert embeds.negative is None


def test_precision_is_part_of_the_key(tiny: ModelSpec, settings: Settings) -> None:
    cache = PromptCache()
    dtypes = []
    for precision in ("fp32", "bf16"):
        source = ModelManager(settings.model_copy(update={"precision": precision}))
        dtypes.append(encode_prompts(source, tiny, request(), cache, lambda event: None).positive.dtype)
    assert dtypes == [torch.float32, torch.bfloat16]


def test_the_cache_forgets_the_longest_unused() -> None:
    cache = PromptCache(capacity=2)
    for key in "ab":
        cache.put(key, EncodedPrompt(torch.zeros(1), 1))
    cache.get("a")
    cache.put("c", EncodedPrompt(torch.zeros(1), 1))
    assert ["a" in cache, "b" in cache, "c" in cache] == [True, False, True]


def test_a_prompt_that_is_too_long_is_said(tiny: ModelSpec, manager: ModelManager) -> None:
    events: list[ProgressEvent] = []
    cache = PromptCache()
    for _ in range(2):  # from the cache too
        embeds = encode_prompts(manager, tiny, request(prompt="circle " * 600), cache, events.append)
        assert embeds.positive.shape[1] == 512
        assert events[-1].stage is Stage.ENCODE
        assert "tokens; the model sees the first 512." in events[-1].message


def test_latents_round_trip_with_their_request(tmp_path: Path) -> None:
    latents = torch.randn(1, 16, 2, 4, 4)
    asked = request(prompt="一只猫 🐱")
    save_latents(latents, tmp_path / "new" / "a.safetensors", asked)
    read, kept = load_latents(tmp_path / "new" / "a.safetensors")
    assert torch.equal(read, latents)
    assert kept == asked
    assert os.listdir(tmp_path / "new") == ["a.safetensors"]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_files_that_are_no_latents_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(MediaError, match="a holds no latents"):
        load_latents(tmp_path / "a")
    with pytest.raises(MediaError, match="b holds no latents"):
        load_latents(tmp_path / "b")


def test_pruning_removes_the_oldest_and_never_the_newest(tmp_path: Path) -> None:
    for age, name in enumerate("abc"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(b"x" * 10)
        os.utime(path, (age, age))
    prune_latents(tmp_path, 20)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["b", "c"]
    prune_latents(tmp_path, 0)
    assert [path.stem for path in tmp_path.iterdir()] == ["c"]


def test_pixels_are_truncated() -> None:
    values = torch.tensor([-2.0, -1.0, -0.0001, 0.0, 0.9999, 1.0, 3.0])
    frames = values.view(1, 1, 1, 1, -1).expand(1, 3, 1, 2, -1)
    pixels = to_uint8(frames)
    assert pixels.shape == (1, 1, 2, 7, 3)
    assert pixels[0, 0, 0, :, 0].tolist() == [0, 0, 127, 127, 254, 255, 255]


def test_preview_colours_are_linear_in_the_latents() -> None:
    latents = torch.zeros(1, 16, 3, 2, 4)
    latents[0, 5, 1] = 1.0
    colours = latents_to_rgb(latents, TABLE)
    assert colours.shape == (3, 2, 4, 3)
    assert colours[0, 0, 0].tolist() == [127, 191, 0]
    assert colours[1, 1, 3].tolist() == [191, 191, 0]


def test_preview_moves_at_the_clips_speed_and_is_large_enough() -> None:
    latents = torch.randn(1, 16, 5, 6, 10, generator=torch.Generator().manual_seed(0))
    with Image.open(io.BytesIO(Previews(TABLE, None).draw(latents, fps=16))) as preview:
        preview.load()
        assert (preview.n_frames, preview.info["duration"]) == (5, 250)
        assert preview.size == (260, 156)


def test_broken_latents_still_make_a_preview() -> None:
    latents = torch.full((1, 16, 1, 2, 2), float("nan"))
    assert latents_to_rgb(latents, OFFICIAL_LATENT_RGB).shape == (1, 2, 2, 3)


def test_a_preview_table_round_trips_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TABLE_FILE
    path.write_text(json.dumps({"factors": TABLE.factors, "bias": TABLE.bias}))
    assert LatentRGB.read(path, 16) == TABLE
    with pytest.raises(WeightsError, match="no table of preview colours for 12 latent channels"):
        LatentRGB.read(path, 12)
    for bad in ("", "[]", '{"factors": [[1, 2]], "bias": [1, 2, 3]}', '{"bias": [1, 2, 3]}'):
        path.write_text(bad)
        with pytest.raises(WeightsError, match="no table of preview colours"):
            LatentRGB.read(path, 16)


@pytest.mark.parametrize(("every", "steps"), [(0, []), (1, [1, 2, 3, 4]), (2, [2, 4]), (9, [])])
def test_previews_come_every_so_many_steps(
    tiny: ModelSpec, manager: ModelManager, every: int, steps: list[int]
) -> None:
    table = tiny.folder / TABLE_FILE
    table.write_text(json.dumps({"factors": TABLE.factors, "bias": TABLE.bias}))
    events: list[ProgressEvent] = []
    asked = request(preview_every=every, num_inference_steps=5)
    generate_latents(making(manager, tiny, asked, events.append), PromptCache())
    table.unlink()
    assert [event.step for event in events if event.preview] == steps
    assert all(event.preview[8:12] == b"WEBP" for event in events if event.preview)


def test_without_a_table_there_is_no_preview(tiny: ModelSpec, manager: ModelManager) -> None:
    events: list[ProgressEvent] = []
    generate_latents(making(manager, tiny, request(preview_every=1), events.append), PromptCache())
    assert not any(event.preview for event in events)

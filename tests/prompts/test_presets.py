"""Presets and styles on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wan_core.prompts.named import safe_name
from wan_core.prompts.presets import PresetStore
from wan_core.prompts.styles import BUILT_IN, Style
from wan_core.schema import GenerationRequest, InvalidRequest

FAST = GenerationRequest(
    task="i2v", prompt="a cat", seed=7, image=f"{'0' * 32}.png", num_inference_steps=8, guidance_scale=1.0,
    crops="image=0,0,0.5,1",
    loras=[{"file": "fast.safetensors", "strength": 0.5}],
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> PresetStore:
    return PresetStore(tmp_path / "presets")


def test_a_preset_keeps_settings_and_no_words_seed_or_files(store: PresetStore) -> None:
    assert store.names("i2v") == []
    assert store.save("i2v", " Schnell 8 ", FAST) == "Schnell 8"
    fields = store.read("i2v", "Schnell 8")
    assert (fields["num_inference_steps"], fields["guidance_scale"], fields["task"]) == (8, 1.0, "i2v")
    assert fields["loras"][0]["file"] == "fast.safetensors"
    assert not {"prompt", "seed", "image", "crops"} & fields.keys()
    assert GenerationRequest.parse({**fields, "prompt": "a dog"}).loras == FAST.loras
    assert store.names("i2v") == ["Schnell 8"] and store.names("t2v") == []
    store.delete("i2v", "Schnell 8")
    assert store.names("i2v") == []


@pytest.mark.parametrize(
    "name",
    ["", "  ", "../evil", "a/b", "a\\b", ".hidden", "x" * 61, "CON", "nul.txt", "a\0b", "a\nb", 3, "a."],
)
def test_names_that_are_no_file_names_are_refused(store: PresetStore, tmp_path: Path, name: object) -> None:
    with pytest.raises(InvalidRequest, match="is no name to keep something under"):
        store.save("t2v", name, FAST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "夜景 2", "Über-schön (neu)", "8 steps, fast!", "v1.2"])
def test_names_of_people_are_taken(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize("tab", ["", "..", "styles", "T2V", "a/b"])
def test_a_tab_leads_nowhere_else(store: PresetStore, tab: str) -> None:
    with pytest.raises(InvalidRequest, match="is no tab"):
        store.save(tab, "a", FAST)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 2}', "[" * 100_000, "\ud800"])
def test_a_damaged_preset_is_a_sentence(store: PresetStore, tmp_path: Path, content: str) -> None:
    store.save("t2v", "a", FAST)
    (tmp_path / "presets/t2v/a.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InvalidRequest, match="the file of 'a' is damaged"):
        store.read("t2v", "a")
    assert json.loads(store.export())["presets"] == {"t2v": {}}


def test_a_preset_is_found_by_its_name_where_it_is_the_only_one(store: PresetStore) -> None:
    with pytest.raises(InvalidRequest, match=r"there is no 'fast'\. There are: none yet"):
        store.find("fast")
    store.save("i2v", "fast", FAST)
    assert store.find("fast") == store.find("i2v/fast") == store.find("fast", "i2v")
    store.save("t2v", "fast", FAST)
    with pytest.raises(InvalidRequest, match=r"in several tabs\. Name one: i2v/fast or t2v/fast"):
        store.find("fast")
    assert store.find("t2v/fast")["num_inference_steps"] == 8


def test_styles_of_ones_own_stand_beside_those_of_the_studio(store: PresetStore) -> None:
    assert store.styles() == list(BUILT_IN)
    store.save_style("Neon", "neon light", "daylight")
    store.save_style("Anime", "{prompt}, my anime")
    neon = Style("Neon", "{prompt}, neon light", "{prompt}, daylight", is_own=True)
    assert store.find_style("neon") == store.styles()[-1] == neon
    assert store.find_style("Anime").prompt == "{prompt}, my anime"
    assert len(store.styles()) == len(BUILT_IN) + 1
    store.delete_style("Anime")
    assert not store.find_style("Anime").is_own
    for words in ("", "{prompt}", "{prompt} {prompt}", 3):
        with pytest.raises(InvalidRequest, match="words"):
            store.save_style("None", words)
    with pytest.raises(InvalidRequest, match=r"there is no 'Neo'\. There are: Cinematic"):
        store.find_style("Neo")


def test_everything_goes_to_another_studio_and_nothing_is_lost_there(
    store: PresetStore, tmp_path: Path
) -> None:
    store.save("i2v", "fast", FAST)
    store.save_style("Neon", "neon light")
    other = PresetStore(tmp_path / "other")
    assert other.take_in(store.export()) == (1, 1)
    assert other.read("i2v", "fast") == store.read("i2v", "fast")
    assert other.find_style("Neon") == store.find_style("Neon")
    other.take_in(store.export())
    assert other.names("i2v") == ["fast"]
    store.save("i2v", "fast", FAST.model_copy(update={"num_inference_steps": 4}))
    other.take_in(store.export())
    assert other.names("i2v") == ["fast", "fast (2)"]
    assert other.read("i2v", "fast")["num_inference_steps"] == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"wan_studio_presets": 1, "presets": []}',
        '{"wan_studio_presets": 1, "presets": {"t2v": 3}}',
        '{"wan_studio_presets": 1, "presets": {"../t2v": {"a": {}}}}',
        '{"wan_studio_presets": 1, "presets": {"t2v": {"../a": {}}}}',
        '{"wan_studio_presets": 1, "presets": {"t2v": {"a": {"num_inference_steps": "many"}}}}',
        '{"wan_studio_presets": 1, "presets": {"t2v": {"a": {}}}, "styles": {"b": 3}}',
    ],
)
def test_what_is_no_export_is_refused_as_a_whole(store: PresetStore, tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest):
        store.take_in(text)
    assert list(tmp_path.rglob("*.json")) == []

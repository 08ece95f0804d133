"""Settings that outlive a session, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wan_core.manager.kept_settings import FILE_VERSION, KeptSettings
from wan_core.schema import InvalidRequest, Settings
from wan_core.schema.settings import SettingKnob, setting_knobs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def kept(home: Path, **base: object) -> KeptSettings:
    return KeptSettings(Settings(home=home, **base))


def write(home: Path, **values: object) -> None:
    (home / "settings.json").write_text(json.dumps(values))


def test_without_a_file_everything_is_as_the_command_line_says(home: Path) -> None:
    settings = kept(home, precision="fp16", offline=True)
    assert settings.current == Settings(home=home, precision="fp16", offline=True)
    assert settings.notice == ""
    assert not list(home.iterdir())


def test_a_change_is_there_the_next_time(home: Path) -> None:
    values = {"vram_limit_gib": 7.5, "model_folders": ("/models", "/more"), "vae_tiling": "on"}
    changed = kept(home).change(values)
    assert changed.model_folders == (Path("/models"), Path("/more"))
    assert kept(home).current == changed
    assert kept(home, device="cpu").current == changed.model_copy(update={"device": "cpu"})
    assert [path.name for path in home.iterdir()] == ["settings.json"]


def test_the_file_holds_every_setting_and_no_path_of_the_home(home: Path) -> None:
    kept(home).change({"idle_unload_minutes": 0})
    found = json.loads((home / "settings.json").read_text())
    assert set(found) == {"version", *setting_knobs()}
    assert found["version"] == FILE_VERSION
    assert str(home) not in json.dumps(found)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"precision": "fp5"}, "precision"),
        ({"vae_tile": 7}, "vae_tile"),
        ({"vram_limit_gib": float("nan")}, "vram_limit_gib"),
        ({"profile": "full", "vram_buffer_gib": -1}, "vram_buffer_gib"),
    ],
)
def test_a_refused_value_changes_nothing(home: Path, values: dict[str, object], field: str) -> None:
    settings = kept(home)
    with pytest.raises(InvalidRequest) as refusal:
        settings.change(values)
    assert refusal.value.field == field
    assert settings.current == Settings(home=home)
    assert not list(home.iterdir())


def test_a_disk_that_refuses_changes_nothing(home: Path) -> None:
    settings = kept(home)
    settings.path.mkdir()  # a file cannot take the place of a folder
    (settings.path / "full").touch()
    with pytest.raises(OSError, match=r"settings\.json"):
        settings.change({"vae_tile": 128})
    assert settings.current == Settings(home=home)
    assert [path.name for path in home.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"precision": "fp', "Unterminated string"),
        (b"\xff\xfe\x00broken", "utf"),
        (b"[1, 2]", "no JSON object"),
        (b"[" * 100_000, "recursion"),
        (b'{"version": 2, "precision": "fp4"}', "version 2, this Wan Studio knows 1"),
        (b'{"version": "new"}', "version 'new'"),
        (b" " * (2**20 + 1), "too large"),
    ],
)
def test_a_broken_or_newer_file_is_kept_and_defaults_serve(home: Path, content: bytes, reason: str) -> None:
    for name in ("settings.json.bad", "settings.json.2.bad"):
        (home / "settings.json").write_bytes(content)
        settings = kept(home)
        assert settings.current == Settings(home=home)
        assert (home / name).read_bytes() == content
        assert not (home / "settings.json").exists()
        assert reason in settings.notice
        assert settings.notice.endswith(f"defaults are used instead, and the file is kept as {name}.")
    assert settings.change({"vae_tile": 128}).vae_tile == 128
    assert kept(home).notice == ""


def test_a_folder_in_the_files_place_is_set_aside(home: Path) -> None:
    (home / "settings.json").mkdir()
    assert "settings.json.bad" in kept(home).notice


def test_what_is_refused_falls_to_its_default_and_the_rest_stays(home: Path) -> None:
    write(home, version=1, precision="fp5", vae_tile=512, vram_limit_gib="much", profile="blocks")
    settings = kept(home)
    assert settings.current == Settings(home=home, vae_tile=512, profile="blocks")
    assert "(vram_limit_gib, precision)" in settings.notice
    assert json.loads((home / "settings.json.bad").read_text())["precision"] == "fp5"
    again = kept(home)
    assert (again.current, again.notice) == (settings.current, "")


def test_unknown_keys_survive_a_change(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(home, version=1, vae_tile=512, future={"a": [1]}, device="cpu")
    settings = kept(home)
    assert settings.current == Settings(home=home, vae_tile=512)
    assert "future" in caplog.text
    settings.change({"vae_tile": 128})
    found = json.loads((home / "settings.json").read_text())
    assert (found["future"], found["device"], found["vae_tile"]) == ({"a": [1]}, "cpu", 128)


def test_every_setting_says_when_it_takes_effect() -> None:
    knobs = setting_knobs()
    assert all(isinstance(knob, SettingKnob) and knob.help.endswith(".") for knob in knobs.values())
    assert {name for name, knob in knobs.items() if knob.effect == "at once"} == {"idle_unload_minutes"}

"""The bench measures the same work on both sides, and says so in figures that add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from wan_core.bench import cases, models, peers, report, rivals
from wan_core.bench.cli import main
from wan_core.bench.peers import PEERS
from wan_core.bench.timing import Timing, alternate, peak_bytes
from wan_core.cli import main as command_line
from wan_core.models.dit.config import DiTConfig
from wan_core.models.vae.config import VAEConfig
from wan_core.models.vae.model import WanVAE

CPU = torch.device("cpu")
TINY = DiTConfig(dim=48, ffn_dim=80, num_heads=3, num_layers=2, text_dim=20, freq_dim=32)


def test_runs_take_turns() -> None:
    order: list[str] = []
    timings = alternate({name: lambda n=name: order.append(n) for name in ("a", "b")}, 3, CPU)
    assert order == ["a", "b"] * 3
    assert all(0 <= timing.cpu < 0.1 for timing in timings.values())


def test_peak_is_what_a_run_takes_and_gives_back() -> None:
    torch.ones(1000)
    mebibytes = peak_bytes(lambda: torch.ones(64 * 2**20, dtype=torch.uint8).add_(1), CPU) / 2**20
    assert 60 < mebibytes < 80


def test_the_rivals_compute_the_same_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DIT", TINY)
    dit = models.make_dit(CPU, torch.float32)
    latents, prompt, timestep = torch.randn(1, 16, 2, 4, 6), torch.randn(1, 7, 20), torch.tensor([3.0])
    padded = functional.pad(prompt, (0, 0, 0, TINY.text_len - 7))
    with torch.inference_mode():
        theirs = rivals.rival_dit(dit)(latents, timestep, padded).sample
        torch.testing.assert_close(dit(latents, timestep, prompt), theirs, rtol=1e-5, atol=1e-5)


def test_the_compiled_rival_is_another_whose_blocks_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DIT", TINY)
    dit = models.make_dit(CPU, torch.float32)
    plain, compiled = rivals.rival_dit(dit), rivals.compiled_dit(dit)
    assert all(block._compiled_call_impl is not None for block in compiled.blocks)
    assert all(block._compiled_call_impl is None for block in plain.blocks)
    assert compiled.blocks[0].ffn.net[2].weight.data_ptr() == plain.blocks[0].ffn.net[2].weight.data_ptr()


def test_who_cannot_take_part_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DIT", TINY)
    monkeypatch.setattr(cases, "compiling_unsupported", lambda device: "There is no compiler.")
    monkeypatch.setattr(cases, "_GRIDS", {560: (2, 4, 6)})
    with cases.step_case(cases.Plan(CPU, (PEERS["diffusers"],), compiled=True), "bf16", 560) as case:
        assert list(case.runs) == [cases.OURS, cases.THEIRS]
        assert case.notes == ["There is no compiler."]
        with torch.inference_mode():
            ours, theirs = case.runs[cases.OURS](), case.runs[cases.THEIRS]()
        torch.testing.assert_close(ours, theirs.float(), rtol=0.1, atol=0.1)


def test_the_rivals_vae_has_a_place_for_every_weight_of_ours() -> None:
    with torch.device("meta"):
        vae = WanVAE(VAEConfig())
    rival = rivals.rival_vae(vae)
    assert sum(p.numel() for p in rival.parameters()) == sum(p.numel() for p in vae.parameters())


def test_ratio_and_rate_follow_from_the_seconds() -> None:
    case = cases.Case({}, flops=4e12, rate=4e12, target=1.25)
    timings = {cases.OURS: Timing(2.0, 9.0), cases.THEIRS: Timing(3.0, 5.0)}
    found = report.entry(case, timings, {}, CPU)
    assert found["ratios"] == {cases.THEIRS: 1.5}
    assert (found["tflops"], found["share_of_matrix_rate"]) == (2.0, 0.5)
    assert "target 1.25: reached" in "\n".join(report.lines("x", found))


def test_saved_figures_stay_until_they_are_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.save({"a": 1, "b": 2}, CPU, 3)
    target = report.save({"b": 3}, CPU, 3)
    kept = json.loads(target.read_text(encoding="utf-8"))
    assert kept["cases"] == {"a": 1, "b": 3}
    assert kept["device"] == report.device_name(CPU) and target.name.startswith("bench-")


@pytest.mark.parametrize(
    ("name", "command"),
    [("diffusers", "pip install diffusers"), ("diffsynth", "pip install --no-deps diffsynth einops")],
)
def test_without_a_peer_one_sentence_says_how_to_install_it(
    name: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda package: None if package == name else True)
    assert command_line(["bench", "--against", *PEERS]) == 2
    said = capsys.readouterr()
    assert f"the Python package {name} is not installed" in said.err and command in said.err
    assert not said.out


def test_the_command_measures_what_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "attention-bf16", "--rounds", "1", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "attention-bf16" in said and "auto" in said and "flash_2: Not installed" in said

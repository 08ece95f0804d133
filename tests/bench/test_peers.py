"""Peers are imported only when asked for, do our work from our weights, or are left out and named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wan_core.bench import agreement, cases, cli, models, report, rivals, rivals_diffsynth
from wan_core.bench.cases import OURS, Case, Plan
from wan_core.bench.peers import PEERS
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config

CPU = torch.device("cpu")
TINY = DiTConfig(dim=48, ffn_dim=80, num_heads=3, num_layers=2, text_dim=20, freq_dim=32)
TINY_TEXT = UMT5Config(vocab_size=64, dim=32, dim_attn=32, dim_ffn=48, num_heads=4, num_layers=2)

needs_studio = pytest.mark.skipif(
    any(find_spec(package) is None for package in PEERS["diffsynth"].packages),
    reason=f"DiffSynth-Studio is not installed: {PEERS['diffsynth'].install}",
)


# A package with the names and habits of DiffSynth-Studio: what does not compute wants what is not installed.
STAND_IN = {
    "__init__.py": "from .core import *",
    "core/__init__.py": "from .data import *\nfrom .loader import *",
    "core/data/__init__.py": "import a_package_that_is_not_installed",
    "core/loader/__init__.py": "from .config import ModelConfig\nfrom .model import load_model",
    "core/loader/config.py": "import a_package_that_is_not_installed",
    "core/loader/model.py": (
        "def load_model(kind, path, config, dtype, device, **more):\n    return kind(config, more)"
    ),
    "models/wan_video_image_encoder.py": "import a_package_that_is_not_installed",
    "models/wan_video_dit.py": "class WanModel: pass",
    "models/wan_video_text_encoder.py": "class WanTextEncoder: pass",
    "models/wan_video_vae.py": (
        "class WanVideoVAE:\n"
        "    def __init__(self, config, more): self.names = set(more['state_dict'])\n"
        "    def decode(self, latents, device): return self.names"
    ),
    "pipelines/wan_video.py": (
        "from ..core import ModelConfig\n"
        "from ..models.wan_video_image_encoder import WanImageEncoder\n"
        "class Pipeline:\n"
        "    def load(self, tokenizer=ModelConfig(model_id='x')): pass\n"
        "def model_fn_wan_video(**given): return given"
    ),
}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package above, as if it were installed; afterwards nothing is left of it."""
    for name, text in STAND_IN.items():
        place = tmp_path / "diffsynth" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    real = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "diffsynth"}
    for name in real:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)
    rivals_diffsynth._studio.cache_clear()
    yield
    rivals_diffsynth._studio.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "diffsynth"]:
        del sys.modules[name]
    sys.modules.update(real)


def test_no_peer_is_imported_before_it_is_asked_for() -> None:
    program = (
        "import sys, wan_core.bench.cli; "
        "print(sorted({'diffusers', 'diffsynth', 'einops'} & {name.split('.')[0] for name in sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


def test_of_the_studio_only_what_computes_is_imported(stand_in: None) -> None:
    studio = rivals_diffsynth._studio()
    assert studio.transformer.__name__ == "WanModel" and studio.predict(dit=1) == {"dit": 1}
    assert not set(rivals_diffsynth._LEFT_OUT) & sys.modules.keys()


def test_the_studio_gets_our_vae_under_its_names(stand_in: None) -> None:
    with torch.device("meta"):
        vae = models.WanVAE(models.VAEConfig())
    names = rivals_diffsynth.decoding(vae)(torch.zeros(1))
    assert names == {f"model.{name}" for name in vae.state_dict()}


def test_a_release_with_other_classes_is_left_out_with_a_reason(
    stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diffsynth/models/wan_video_dit.py").write_text("class Renamed: pass", encoding="utf-8")
    monkeypatch.setattr(models, "DIT", TINY)
    monkeypatch.setattr(cases, "_GRIDS", {560: (2, 4, 6)})
    plan = Plan(CPU, (PEERS["diffusers"], PEERS["diffsynth"]))
    with cases.dit_case(plan, "fp32", 560) as case:
        assert list(case.runs) == [OURS, "diffusers"]
    (note,) = case.notes
    assert note.startswith("diffsynth does not run here: ImportError: cannot import name 'WanModel'")


@needs_studio
@pytest.mark.parametrize(("dtype", "far"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_the_studios_transformer_computes_the_same(
    dtype: torch.dtype, far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIT", replace(TINY, dim=96))
    dit = models.make_dit(CPU, dtype)
    before = {name: tensor.dtype for name, tensor in dit.state_dict().items()}
    latents, prompt, timestep = torch.randn(1, 16, 2, 4, 6), torch.randn(1, 7, 20), torch.tensor([500.0])
    padded = functional.pad(prompt, (0, 0, 0, TINY.text_len - 7)).to(dtype)
    with torch.inference_mode():
        theirs = rivals_diffsynth.dit_call(dit)(latents.to(dtype), timestep, padded)
        ours = dit(latents, timestep, prompt.to(dtype))
    assert agreement.difference(ours, theirs) < far
    assert {name: tensor.dtype for name, tensor in dit.state_dict().items()} == before


@needs_studio
def test_the_studios_vae_decodes_the_same() -> None:
    vae, latents = models.make_vae(CPU, torch.float32), torch.randn(1, 16, 2, 4, 4)
    with torch.inference_mode():
        ours = torch.cat(list(vae.decode_stream(latents)), dim=2)
        assert agreement.difference(ours, rivals_diffsynth.decoding(vae)(latents)) < 1e-5
        assert agreement.difference(ours, rivals.decoding(vae)(latents)) < 1e-5


@pytest.mark.parametrize(
    ("name", "compiled"), [("vae-fp32", ["WanDecoder3d"]), ("umt5-fp32", ["UMT5EncoderModel"])]
)
def test_the_rivals_vae_and_text_encoder_are_also_compiled_and_ours_are_not(
    name: str, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[nn.Module] = []
    for module in (cases, models):
        monkeypatch.setattr(module, "UMT5", TINY_TEXT)
    monkeypatch.setattr(cases, "_SMALL_CLIP", (1, 16, 2, 4, 4))
    monkeypatch.setattr(cases, "compiling_unsupported", lambda device: None)
    monkeypatch.setattr(nn.Module, "compile", lambda module, **options: told.append(module))
    monkeypatch.setattr(torch, "compile", lambda module: told.append(module) or module)
    with cases.CASES[name](Plan(CPU, (PEERS["diffusers"],), compiled=True)) as case:
        agreement.run_once(case, CPU)
        assert list(case.runs) == [OURS, "diffusers", "diffusers, compiled"]
        assert max(case.differences.values()) < 1e-5
    assert [type(module).__name__ for module in told] == compiled


@needs_studio
def test_the_studios_text_encoder_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "UMT5", TINY_TEXT)
    encoder, ids = models.make_text_encoder(CPU, torch.float32), torch.randint(2, 64, (1, 9))
    mask = torch.ones_like(ids)
    padded = [functional.pad(tensor, (0, 11)) for tensor in (ids, mask)]
    with torch.inference_mode():
        ours = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        assert agreement.difference(ours, rivals_diffsynth.text_call(encoder)(*padded)[:, :9]) < 1e-5
        assert agreement.difference(ours, rivals.text_call(encoder)(*padded)[:, :9]) < 1e-5


@needs_studio
def test_the_studio_loads_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DIT", TINY)
    dit = models.make_dit(CPU, torch.bfloat16)
    load = rivals_diffsynth.save_rival(dit, tmp_path / "studio")
    load()
    (tmp_path / "studio" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        load()


def test_who_does_other_work_or_fails_is_left_out_and_said() -> None:
    def failing() -> Tensor:
        raise RuntimeError("no kernel\nmore of it")

    case = Case({OURS: lambda: torch.ones(4)}, roundings=0.01)
    case.runs |= {"near": lambda: 1.001 * torch.ones(4), "far": lambda: 2 * torch.ones(4)}
    case.runs |= {"other": lambda: torch.ones(5), "broken": failing}
    agreement.run_once(case, CPU)
    assert list(case.runs) == [OURS, "near"]
    assert case.differences == {"near": pytest.approx(1e-3, rel=1e-3)}
    assert case.notes == [
        "far is left out: its result differs from ours by 1, more than the 0.01 of roundings.",
        "other is left out: its result differs from ours by inf, more than the 0.01 of roundings.",
        "broken does not run here: RuntimeError: no kernel",
    ]


def test_a_result_that_is_no_number_does_not_agree() -> None:
    case = Case({OURS: lambda: torch.ones(4), "peer": lambda: torch.full((4,), torch.nan)}, roundings=0.01)
    agreement.run_once(case, CPU)
    assert list(case.runs) == [OURS]


def test_our_own_failure_is_not_excused() -> None:
    def failing() -> Tensor:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        agreement.run_once(Case({OURS: failing}), CPU)


def test_two_peers_in_one_run_are_printed_and_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def tiny(plan: Plan) -> Iterator[Case]:
        case = Case({OURS: lambda: torch.ones(4)}, roundings=0.01)
        for number, peer in enumerate(plan.against):
            case.join(peer.name, lambda n=number: lambda: (1 + n / 256) * torch.ones(4))
            if plan.compiled:
                case.join(peer.compiled, lambda: lambda: torch.ones(4))
        yield case

    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setitem(cases.CASES, "load", tiny)
    monkeypatch.setattr(type(PEERS["diffusers"]), "require", lambda self: None)
    monkeypatch.setattr(type(PEERS["diffusers"]), "version", "7.0")
    asked = ["--only", "load", "--rounds", "1", "--device", "cpu", "--save", "--against"]
    assert cli.main([*asked, "diffsynth", "diffusers", "diffusers"]) == 0
    machine, _, *rows = capsys.readouterr().out.splitlines()
    everybody = [OURS, "diffusers", "diffusers, compiled", "diffsynth", "diffsynth, compiled"]
    assert machine.endswith("1 thread(s), diffusers 7.0, diffsynth 7.0")
    assert [row[17:37].strip() for row in rows] == everybody
    assert rows[3].endswith(" times as fast, differs by 3.9e-03")
    (place,) = tmp_path.iterdir()
    kept = json.loads(place.read_text(encoding="utf-8"))
    assert kept["peers"] == {"diffusers": "7.0", "diffsynth": "7.0"}
    assert list(kept["cases"]["load"]["seconds"]) == everybody
    assert kept["cases"]["load"]["differences"] == {
        "diffusers": 0, "diffusers, compiled": 0, "diffsynth": 0.00391, "diffsynth, compiled": 0
    }  # fmt: skip
    assert cli.main([*asked, "diffsynth", "--eager"]) == 0
    kept = json.loads(place.read_text(encoding="utf-8"))
    assert list(kept["cases"]["load"]["seconds"]) == [OURS, "diffsynth"]
    assert kept["peers"] == {"diffusers": "7.0", "diffsynth": "7.0"}


def test_an_unknown_program_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--against", "diffusers", "comfy"])
    assert "invalid choice: 'comfy' (choose from" in capsys.readouterr().err


def test_a_target_is_judged_beside_each_that_is_not_compiled() -> None:
    found = {
        "seconds": {},
        "ratios": {"diffusers": 1.3, "diffusers, compiled": 1.0, "diffsynth": 1.2},
        "target": 1.25,
    }
    (said,) = report.lines("x", found)
    assert said.strip() == "target 1.25: reached beside diffusers, missed beside diffsynth"

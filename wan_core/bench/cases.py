"""What is measured: each case makes its models, and gives up to three ways of doing the same work."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from wan_core.bench.growth import growth_runs
from wan_core.bench.models import UMT5, make_dit, make_text_encoder, make_vae
from wan_core.bench.peers import DOES_NOT_RUN, PEERS, Peer
from wan_core.bench.rivals import read_pages
from wan_core.bench.timing import Run, matrix_rate
from wan_core.manager.attention_choice import exact_attention
from wan_core.manager.loading import load_transformer
from wan_core.models.umt5.config import TEXT_LEN
from wan_core.models.vae.config import TEMPORAL_STRIDE
from wan_core.ops.attention import use_attention
from wan_core.ops.attention_probe import attention_unsupported
from wan_core.ops.attention_timing import attention_seconds
from wan_core.ops.compiling import compiling_unsupported
from wan_core.ops.kernels import KERNELS
from wan_core.pipelines.preparing import prepared
from wan_core.schema.attention import fastest

OURS, THEIRS, COMPILED = "ours", PEERS["diffusers"].name, PEERS["diffusers"].compiled
PROMPT_TOKENS = 77
_FILE = "diffusion_pytorch_model.safetensors"
_GRIDS = {560: (5, 16, 28), 1950: (5, 30, 52)}  # tokens -> latent frames, rows and columns
_SMALL_CLIP, _CLIP = (1, 16, 5, 16, 16), (1, 16, 3, 32, 32)
"""Latents of 17 frames of 128x128, and of 9 of 256x256."""

_PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}
_ROUNDINGS = {"bf16": 0.05, "fp32": 1e-4}  # apart by more, as a share of the whole, is other work


@dataclass
class Case:
    """One kind of work.

    Attributes:
        runs: who does it -> how. What they return is the same for all, where ``roundings`` are given.
        flops: of one run of ours; None where they say nothing.
        rate: FLOP/s of a matrix product in the same precision on this device.
        weighs: whether its memory is of interest.
        target: how many times as fast as diffusers it is to be.
        roundings: how far apart results may be, as a share of ours; None where they are not compared.
        differences: who takes part -> how far its result is from ours.
    """

    runs: dict[str, Run]
    flops: float | None = None
    rate: float | None = None
    weighs: bool = False
    target: float | None = None
    roundings: float | None = None
    differences: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def join(self, name: str, make: Callable[[], Run]) -> None:
        """Let a peer take part, or say why it does not."""
        try:
            self.runs[name] = make()
        except DOES_NOT_RUN as error:
            self.excuse(name, error)

    def excuse(self, name: str, error: Exception) -> None:
        """Leave somebody out who does not run here, and say why."""
        self.runs.pop(name, None)
        lines = str(error).strip().splitlines()
        self.notes.append(f"{name} does not run here: {type(error).__name__}: {lines[0] if lines else ''}")


@dataclass(frozen=True)
class Plan:
    """On which device, and against whom: nobody, or these, also compiled."""

    device: torch.device
    against: tuple[Peer, ...] = ()
    compiled: bool = False


Maker = Callable[[Plan], AbstractContextManager[Case]]


@contextmanager
def dit_case(plan: Plan, precision: str, tokens: int) -> Iterator[Case]:
    """A call of the transformer as the denoising loop makes it, with a prompt of ``PROMPT_TOKENS``."""
    device, dtype = plan.device, _PRECISIONS[precision]
    dit = make_dit(device, dtype)
    use_attention(fastest(attention_seconds(exact_attention(device, dtype), device, dtype)))
    latents = torch.randn(1, 16, *_GRIDS[tokens]).to(device)
    prompt = torch.randn(1, PROMPT_TOKENS, dit.config.text_dim).to(device, dtype)
    timestep = torch.tensor([500.0], device=device)
    case = Case({OURS: lambda: dit(latents, timestep, prompt)}, _dit_flops(dit, tokens), weighs=True)
    case.rate, case.target = matrix_rate(device, dtype), {"bf16": 1.25, "fp32": 1.1}[precision]
    case.roundings = _ROUNDINGS[precision]
    padded = F.pad(prompt, (0, 0, 0, TEXT_LEN - PROMPT_TOKENS))

    def call_as(peer: Peer, compiled: bool) -> Run:
        call = peer.dit(dit, compiled)
        return lambda: call(latents.to(dtype), timestep, padded)

    with _joined(case, plan, call_as), prepared(dit):
        yield case


@contextmanager
def step_case(plan: Plan, precision: str, tokens: int) -> Iterator[Case]:
    """A step with guidance: a pass with the prompt and one without. Peers call their model for each.

    The self-attention that our passes share in the first block is computed for each here, as it would be a
    fourth of four blocks and is a thirtieth of the real model's.
    """
    device, dtype = plan.device, _PRECISIONS[precision]
    dit = make_dit(device, dtype)
    use_attention(fastest(attention_seconds(exact_attention(device, dtype), device, dtype)))
    latents = torch.randn(1, 16, *_GRIDS[tokens]).to(device)
    prompts = torch.randn(2, PROMPT_TOKENS, dit.config.text_dim).to(device, dtype)
    timestep = torch.tensor([500.0], device=device)
    both = latents.repeat(2, 1, 1, 1, 1)
    case = Case({OURS: lambda: dit(both, timestep, prompts)}, 2 * _dit_flops(dit, tokens))
    case.rate = matrix_rate(device, dtype)
    case.roundings = _ROUNDINGS[precision]
    padded = F.pad(prompts, (0, 0, 0, TEXT_LEN - PROMPT_TOKENS)).split(1)

    def both_passes_as(peer: Peer, compiled: bool) -> Run:
        call = peer.dit(dit, compiled)
        return lambda: torch.cat([call(latents.to(dtype), timestep, prompt) for prompt in padded])

    with _joined(case, plan, both_passes_as), prepared(dit):
        yield case


@contextmanager
def _joined(case: Case, plan: Plan, run_as: Callable[[Peer, bool], Run]) -> Iterator[None]:
    """Peers take part as they are and compiled, as ``run_as`` is told; ``case`` hears why one does not."""
    refusal = compiling_unsupported(plan.device) if plan.against and plan.compiled else None
    if refusal:
        case.notes.append(refusal)
    for peer in plan.against:
        case.join(peer.name, lambda peer=peer: run_as(peer, False))
        if plan.compiled and not refusal:
            case.join(peer.compiled, lambda peer=peer: run_as(peer, True))
    try:
        yield
    finally:
        torch.compiler.reset()


def _dit_flops(dit: nn.Module, tokens: int) -> float:
    """Of matrix products and attention; the text's own are left out, as they are made once for a clip."""
    config = dit.config
    linear = 6 * config.dim**2 + 2 * config.dim * config.ffn_dim
    attending = 2 * config.dim * (tokens + PROMPT_TOKENS + 1)
    return 2.0 * config.num_layers * tokens * (linear + attending)


@contextmanager
def vae_case(plan: Plan, precision: str, size: tuple[int, ...]) -> Iterator[Case]:
    """Frames from their latents, whose size is given."""
    from torch.utils.flop_counter import FlopCounterMode

    device, dtype = plan.device, _PRECISIONS[precision]
    vae = make_vae(device, dtype)
    latents = torch.randn(size).to(device, dtype)

    def decode() -> torch.Tensor:
        for frames in vae.decode_stream(latents):
            last = frames
        return last

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        for _ in type(vae)(vae.config).decode_stream(torch.empty(size)):
            pass
    case = Case({OURS: decode}, counter.get_total_flops(), matrix_rate(device, dtype), weighs=True)
    case.target, case.roundings = {"bf16": 2.0, "fp32": 1.3}[precision], _ROUNDINGS[precision]

    def decode_as(peer: Peer, compiled: bool) -> Run:
        call = peer.decode(vae, compiled)
        return lambda: call(latents)[:, :, -TEMPORAL_STRIDE:]

    with _joined(case, plan, decode_as):
        yield case


@contextmanager
def text_case(plan: Plan, precision: str) -> Iterator[Case]:
    """A prompt of ``PROMPT_TOKENS`` through the text encoder; peers fill it up to 512 tokens."""
    device, dtype = plan.device, _PRECISIONS[precision]
    encoder = make_text_encoder(device, dtype)
    ids = torch.randint(2, UMT5.vocab_size, (1, PROMPT_TOKENS), device=device)
    mask = torch.ones_like(ids)
    case = Case({OURS: lambda: encoder(input_ids=ids, attention_mask=mask).last_hidden_state}, target=4.5)
    case.roundings = _ROUNDINGS[precision]
    missing = (0, TEXT_LEN - PROMPT_TOKENS)
    padded, padded_mask = F.pad(ids, missing), F.pad(mask, missing)

    def read_as(peer: Peer, compiled: bool) -> Run:
        call = peer.text(encoder, compiled)
        return lambda: call(padded, padded_mask)[:, :PROMPT_TOKENS]

    with _joined(case, plan, read_as):
        yield case


@contextmanager
def load_case(plan: Plan) -> Iterator[Case]:
    """A bfloat16 transformer of four blocks from its file, every page of it read."""
    dit = make_dit(torch.device("cpu"), torch.bfloat16)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_file(dit.state_dict(), folder / _FILE)

        def load() -> None:
            read_pages(load_transformer(folder, [_FILE]).state_dict())

        case = Case({OURS: load})
        for peer in plan.against:
            case.join(peer.name, lambda peer=peer: peer.save(dit, folder / peer.name))
        yield case


@contextmanager
def attention_case(plan: Plan, precision: str) -> Iterator[Case]:
    """Self-attention of 1950 tokens with each kernel that a trial on this device found right."""
    device, dtype = plan.device, _PRECISIONS[precision]
    query, key, value = (torch.randn(1, 1950, 12, 128).to(device, dtype) for _ in range(3))
    case = Case({})
    for name, kernel in KERNELS.items():
        if refusal := attention_unsupported(name, device, dtype):
            case.notes.append(f"{name}: {refusal}")
        else:
            case.runs[name] = lambda run=kernel.run: run(query, key, value, None)
    yield case


@contextmanager
def demo_case(plan: Plan) -> Iterator[Case]:
    """A clip of the demo model from its prompt to its file, the models loaded already."""
    from wan_core.engine import Engine
    from wan_core.schema import GenerationRequest, Settings

    request = GenerationRequest(model="demo", prompt="A red circle moves right on a blue background.", seed=1)
    with tempfile.TemporaryDirectory() as home:
        engine = Engine(Settings(home=Path(home), device=str(plan.device), offline=True))
        yield Case({OURS: lambda: engine.generate(request)})
        engine.unload()


@contextmanager
def growth_case(plan: Plan) -> Iterator[Case]:
    """Clips of more and more frames, and of larger and larger pictures; see ``wan_core.bench.growth``."""
    with growth_runs(plan.device) as runs:
        yield Case(dict(runs))


CASES: dict[str, Maker] = {
    **{
        f"dit-{precision}-{tokens}": lambda plan, p=precision, t=tokens: dit_case(plan, p, t)
        for precision in _PRECISIONS
        for tokens in _GRIDS
    },
    "step-bf16-560": lambda plan: step_case(plan, "bf16", 560),
    **{
        f"vae-{precision}": lambda plan, p=precision: vae_case(plan, p, _SMALL_CLIP)
        for precision in _PRECISIONS
    },
    "vae-bf16-256": lambda plan: vae_case(plan, "bf16", _CLIP),
    **{f"umt5-{precision}": lambda plan, p=precision: text_case(plan, p) for precision in _PRECISIONS},
    "load": load_case,
    **{
        f"attention-{precision}": lambda plan, p=precision: attention_case(plan, p)
        for precision in _PRECISIONS
    },
    "demo": demo_case,
    "growth": growth_case,
}
"""Name -> what makes the case, in the order in which they run."""

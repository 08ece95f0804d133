"""The planner's predictions beside what is really held, for parts of true size.

Without a GPU, tensors without memory are counted one by one as the models run on them; with one, the
transformer runs with random weights, whole and with blocks that come and go, and the allocator is asked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from tests.models.live_bytes import LiveBytes
from wan_core.catalog import MODELS, ModelSpec, Role
from wan_core.manager.device_kinds import PLAIN_BYTES, part_precision
from wan_core.manager.loading import load_transformer
from wan_core.manager.movers import make_mover
from wan_core.manager.part_kinds import PART_KINDS
from wan_core.manager.plan_work import PICTURE_BYTES, TEXT_BYTES
from wan_core.manager.planner import spread
from wan_core.manager.residency import Residency
from wan_core.manager.weight_bytes import part_numbers
from wan_core.models.clip.model import CLIPImageEncoder
from wan_core.models.dit import blocks, model
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.config import VAEConfig, decoding_bytes, encoding_bytes
from wan_core.models.vae.model import WanVAE
from wan_core.schema.schemes import DeviceFacts

SIZES = {"480p": (832, 480), "720p": (1280, 720)}
FRAMES = 21  # latent frames of 81
COUNTED = ("wan2.1-t2v-1.3b", "wan2.1-t2v-14b", "wan2.1-i2v-14b-480p")
_CARD = DeviceFacts("cuda", (8, 9), "RTX 4090")
_CONVOLUTION_WORKSPACE = 2**30  # in the prediction for the VAE, of what no tensor shows


@dataclasses.dataclass(frozen=True)
class Line:
    """One prediction, and what it was."""

    what: str
    planned_bytes: int
    real_bytes: int

    @property
    def entries(self) -> dict[str, object]:
        off = self.planned_bytes / self.real_bytes - 1
        return {**dataclasses.asdict(self), "off_percent": round(100 * off, 2)}


def count() -> list[Line]:
    """Weights and work of true size, counted on tensors without memory."""
    lines = []
    for name in COUNTED:
        spec = MODELS[name]
        lines += [
            _weights(spec, role) for role in spec.weights if name == COUNTED[2] or role is Role.TRANSFORMER
        ]
        lines += [_call(spec, size) for size in SIZES] if name != COUNTED[2] else []
    with torch.device("meta"):
        vae = WanVAE(VAEConfig())
    lines += [_reading(), _seeing()]
    return lines + [work(vae, size) for work in (_decoding, _encoding) for size in SIZES]


def _weights(spec: ModelSpec, role: Role) -> Line:
    build = {
        Role.TRANSFORMER: lambda: WanDiT(spec.dit),
        Role.TEXT_ENCODER: lambda: build_encoder(spec.text_encoder),
        Role.VAE: lambda: WanVAE(spec.vae),
        Role.IMAGE_ENCODER: lambda: CLIPImageEncoder(spec.image_encoder),
    }
    with torch.device("meta"):
        module = build[role]()
    numbers = part_numbers(spec, role)
    pieces = [numbers.outside, *(piece for block in numbers.blocks for piece in block)]
    precision = part_precision(_CARD, "auto", role)
    planned = sum(piece.nbytes(precision, precision) for piece in pieces)
    keeps, item = PART_KINDS[role].keeps_fp32, PLAIN_BYTES[precision]
    real = sum(p.numel() * (4 if keeps(name) else item) for name, p in module.named_parameters())
    return Line(f"{spec.id}: weights of the {role.replace('_', ' ')}, {precision}", planned, real)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None = None, grid: object = None
) -> Tensor:
    """Holds what a kernel for GPUs holds: its result."""
    return query.new_empty(*query.shape[:2], query.shape[2] * query.shape[3])


def _call(spec: ModelSpec, size: str) -> Line:
    """One call of the transformer in bf16; a few blocks show what all hold."""
    grid = (FRAMES, SIZES[size][1] // 8, SIZES[size][0] // 8)
    with torch.device("meta"):
        dit = WanDiT(dataclasses.replace(spec.dit, num_layers=3))
    for name, parameter in dit.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if WanDiT.keep_in_fp32(name) else torch.bfloat16)
    plainly = patch.object(model.torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    with plainly, patch.object(blocks, "attention", _flash), torch.inference_mode(), LiveBytes() as live:
        prompt = torch.empty(1, 512, 4096, device="meta")
        dit(torch.empty(1, 16, *grid, device="meta"), torch.empty(1, device="meta"), prompt)
    return Line(f"{spec.id}: work of a call, {size}, bf16", spec.dit.working_bytes(*grid), live.peak)


def _reading() -> Line:
    """A prompt of the full 512 tokens, read in bf16."""
    spec = MODELS[COUNTED[2]]
    with torch.device("meta"):
        encoder = build_encoder(spec.text_encoder).to(torch.bfloat16)
    ids = torch.empty(1, spec.dit.text_len, dtype=torch.long, device="meta")
    with torch.inference_mode(), LiveBytes() as live:
        encoder(input_ids=ids)
    return Line("umT5: work of reading 512 tokens, bf16", TEXT_BYTES, live.peak)


def _seeing() -> Line:
    config = MODELS[COUNTED[2]].image_encoder
    with torch.device("meta"):
        encoder = CLIPImageEncoder(config).half()
    pixels = torch.empty(1, 3, config.image_size, config.image_size, device="meta")
    with torch.inference_mode(), LiveBytes() as live:
        encoder(pixels)
    return Line("CLIP: work of seeing a picture, fp16", PICTURE_BYTES, live.peak)


def _decoding(vae: WanVAE, size: str) -> Line:
    width, height = SIZES[size]
    with torch.no_grad(), LiveBytes() as live:
        for _ in vae.decode_stream(torch.empty(1, 16, 3, height // 8, width // 8, device="meta")):
            pass
    planned = decoding_bytes(VAEConfig(), width, height) - _CONVOLUTION_WORKSPACE
    return Line(f"VAE: work of decoding, {size}, fp32", planned, live.peak)


def _encoding(vae: WanVAE, size: str) -> Line:
    width, height = SIZES[size]
    with torch.no_grad(), LiveBytes() as live:
        for _ in vae.encode_stream(torch.empty(1, 3, 4, height, width, device="meta") for _ in range(4)):
            pass
    planned = encoding_bytes(VAEConfig(), width, height) - _CONVOLUTION_WORKSPACE
    return Line(f"VAE: work of encoding, {size}, fp32", planned, live.peak)


def run_streamed(file: Path, counts: tuple[int, ...] = (0, 5, 10, 20, 30)) -> list[dict[str, object]]:
    """On a GPU: a call at 480p with so many blocks streamed, its seconds and its peak beside the plan's."""
    spec, device = MODELS[COUNTED[0]], torch.device("cuda")
    dit = load_transformer(file.parent, [file.name], torch.bfloat16)
    residency, grid = Residency(dit, make_mover(device)), (FRAMES, 60, 104)
    rows = []
    for streamed in counts:
        residency.place(spread(streamed, spec.dit.num_layers) if streamed else (), pin_limit=2**40)
        planned = residency.device_bytes + spec.dit.working_bytes(*grid)
        seconds = _seconds(dit, grid, device)
        real = torch.cuda.max_memory_allocated(device)
        rows.append({**Line(f"{streamed} blocks streamed", planned, real).entries, "seconds": seconds})
    residency.withdraw()
    return rows


@torch.inference_mode()
def _seconds(dit: nn.Module, grid: tuple[int, int, int], device: torch.device) -> float:
    latents, prompt = torch.randn(1, 16, *grid, device=device), torch.randn(1, 512, 4096, device=device)
    taken = []
    for attempt in range(4):
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        started = time.perf_counter()
        dit(latents, torch.tensor([500.0], device=device), prompt)
        torch.cuda.synchronize(device)
        if attempt:  # the first warms up
            taken.append(time.perf_counter() - started)
    return sorted(taken)[1]

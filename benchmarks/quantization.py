"""How far is each way of keeping weights from float32? The demo model, and a block of true width.

    python -m benchmarks.quantization [--steps 20] [--clips 3] [--width 1.3b]

Only the weights of one scheme differ from the reference; noise, prompt and computing precision are the same.
The columns: bytes of the transformer; relative error of the velocity at three noise levels; mean PSNR of
finished clips against those of float32; relative error of a random block's output at true width. GGUF blocks
are rounded to nearest, without llama.cpp's search: real files are a little better. Saves the figures.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gguf_packing import pack
from benchmarks.report import save
from wan_core.catalog import ModelSpec, Role, find_model
from wan_core.manager.loading import load_text_encoder, load_transformer, load_vae
from wan_core.models.dit.blocks import Block, DiTContext
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.tokenizer import PromptTokenizer
from wan_core.ops.rope import rope_table
from wan_core.pipelines.conditioning.types import Conditioning
from wan_core.pipelines.decoding import decode_frames
from wan_core.pipelines.denoise import Sampling, denoise
from wan_core.pipelines.guidance import Guidance
from wan_core.pipelines.prompt_encoding import PromptEmbeds, encode_prompt
from wan_core.quantization.fp8_matmul import Fp8MatmulLinear
from wan_core.quantization.prepare import is_quantisable, prepare
from wan_core.quantization.stored import Loadable
from wan_core.schedulers import make_scheduler
from wan_core.schema import ProgressEvent
from wan_core.schema.schemes import GGUF_SCHEMES, SCHEMES

PROMPT = "a red circle moving right in the blue sky"
TIMESTEPS = (950.0, 600.0, 200.0)
WIDTHS = {"1.3b": (1536, 8960, 12), "14b": (5120, 13824, 40)}
BLOCK_TOKENS = (1, 8, 8)
_PLAIN = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MULTIPLIED = "fp8_scaled, multiplied"  # computed in bf16, with the input brought to fp8 as well


@dataclass(frozen=True)
class Figures:
    scheme: str
    bits: float
    bytes: int
    velocity_error: float
    clip_psnr: float
    block_error: float


def with_scheme(model: nn.Module, scheme: str) -> nn.Module:
    """A copy of a float32 model with its weights kept as a scheme says."""
    name = "fp8_scaled" if scheme == MULTIPLIED else scheme
    state: dict[str, Loadable] = dict(model.state_dict())
    types = {row.id: type_name for type_name, row in GGUF_SCHEMES.items()}
    if name in types:
        packed = [key for key in state if is_quantisable(model, key)]
        state |= {key: pack(state[key], types[name]) for key in packed}
        name = None
    return fill(copy.deepcopy(model).to("meta"), state, name, computing(scheme))


def computing(scheme: str) -> torch.dtype:
    return torch.bfloat16 if scheme == MULTIPLIED else _PLAIN.get(scheme, torch.float32)


def fill(
    empty: nn.Module, state: Mapping[str, Loadable], scheme: str | None, dtype: torch.dtype
) -> nn.Module:
    def dtype_of(name: str) -> torch.dtype:
        return torch.float32 if WanDiT.keep_in_fp32(name) else dtype

    final: dict[str, Tensor] = {}
    for _, tensors in prepare(empty, state, scheme, dtype_of):
        final |= tensors
    empty.load_state_dict(final, strict=True, assign=True)
    return empty.requires_grad_(False).eval()


@contextmanager
def multiplying(model: nn.Module, scheme: str) -> Iterator[None]:
    """Multiply in fp8 although this device would not, to see what it costs in precision."""
    layers = [m for m in model.modules() if isinstance(m, Fp8MatmulLinear) and scheme == MULTIPLIED]
    for layer in layers:
        layer.forward = layer.multiply
    yield
    for layer in layers:
        del layer.forward


def nbytes(model: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in chain(model.parameters(), model.buffers()))


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found.float() - expected).norm() / expected.norm()).item()


class Demo:
    """The demo model in float32, and what is compared of it."""

    def __init__(self, spec: ModelSpec, steps: int, clips: int) -> None:
        self.spec, self.steps = spec, steps
        files = {role: (spec.folder, spec.weights[role].files, torch.float32) for role in spec.weights}
        self.transformer = load_transformer(*files[Role.TRANSFORMER], spec.dit)
        self.vae = load_vae(*files[Role.VAE])
        encoder = load_text_encoder(*files[Role.TEXT_ENCODER])
        tokenizer = PromptTokenizer((spec.folder / spec.tokenizer.files[0]).parent, spec.dit.text_len)
        encode: Callable[[str], Tensor] = lambda text: encode_prompt(encoder, tokenizer, text).embeds  # noqa: E731
        self.prompts = PromptEmbeds(encode(PROMPT), encode(spec.defaults.negative_prompt))
        frames = (spec.defaults.num_frames - 1) // 4 + 1
        grid = (frames, spec.defaults.height // 8, spec.defaults.width // 8)
        self.noises = torch.randn(clips, 1, 16, *grid, generator=torch.Generator().manual_seed(7))

    @torch.inference_mode()
    def velocities(self, model: nn.Module) -> Tensor:
        """(timesteps, C, F, H, W), float32."""
        seen = [model(self.noises[0], torch.tensor([t]), self.prompts.positive) for t in TIMESTEPS]
        return torch.cat(seen).float()

    def clips(self, model: nn.Module) -> list[np.ndarray]:
        """Each (T, H, W, 3), uint8."""
        return [self._clip(model, noise) for noise in self.noises]

    def _clip(self, model: nn.Module, noise: Tensor) -> np.ndarray:
        defaults = self.spec.defaults
        scheduler = make_scheduler("unipc", self.steps, defaults.shift, torch.Generator())
        sampling = Sampling(scheduler, Guidance(defaults.guidance_scale))
        latents = denoise(model, noise, self.prompts, Conditioning(), sampling, lambda *_: None)
        return np.concatenate(list(decode_frames(self.vae, latents, ignore)))


def ignore(event: ProgressEvent) -> None:
    """An ``Emit`` for work that nobody follows."""


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    """Decibels, of 8-bit frames; infinite where they are equal."""
    error = np.mean((found.astype(np.float64) - expected) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


class TrueBlock(nn.Module):
    """One block of a true model's width with random weights, on random tokens."""

    def __init__(self, width: str) -> None:
        super().__init__()
        dim, ffn, heads = WIDTHS[width]
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([Block(DiTConfig(dim, ffn, heads, 1))])
        for linear in (m for m in self.modules() if isinstance(m, nn.Linear)):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
            nn.init.normal_(linear.bias, std=0.02)
        self.tokens = (torch.randn(1, math.prod(BLOCK_TOKENS), dim), torch.randn(1, 32, dim))
        self.rope = rope_table(BLOCK_TOKENS, dim // heads, torch.device("cpu"))

    @torch.inference_mode()
    def forward(self, dtype: torch.dtype) -> Tensor:
        """What the block adds to its tokens."""
        tokens, text = self.tokens
        dim = tokens.shape[2]
        rows = torch.cat([torch.zeros(1, 2, dim), torch.ones(1, 1, dim)], 1).repeat(1, 2, 1)
        context = DiTContext(BLOCK_TOKENS, rows[:, 0], rows, text.to(dtype), None, self.rope)
        return self.blocks[0](tokens, context) - tokens


def measure(
    scheme: str, demo: Demo, block: TrueBlock, expected: tuple[Tensor, np.ndarray, Tensor]
) -> Figures:
    velocities, clips, added = expected
    model, wide = with_scheme(demo.transformer, scheme), with_scheme(block, scheme)
    with multiplying(model, scheme), multiplying(wide, scheme):
        return Figures(
            scheme,
            SCHEMES[scheme.partition(",")[0]].bits,
            nbytes(model),
            relative(demo.velocities(model), velocities),
            float(np.mean([psnr(*pair) for pair in zip(demo.clips(model), clips, strict=True)])),
            relative(wide(computing(scheme)), added),
        )


def row(figures: Figures) -> str:
    return (
        f"{figures.scheme:24}{figures.bits:7.2f}{figures.bytes / 2**20:9.2f}{figures.velocity_error:10.5f}"
        f"{figures.clip_psnr:9.1f}{figures.block_error:10.5f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--width", choices=WIDTHS, default="1.3b")
    options = parser.parse_args()
    demo, block = Demo(find_model("demo"), options.steps, options.clips), TrueBlock(options.width)
    expected = (demo.velocities(demo.transformer), demo.clips(demo.transformer), block(torch.float32))
    print(f"{'scheme':24}{'bits':>7}{'MiB':>9}{'velocity':>10}{'PSNR':>9}{'block':>10}")
    rows = []
    for scheme in (*SCHEMES, MULTIPLIED):
        rows.append(measure(scheme, demo, block, expected))
        print(row(rows[-1]), flush=True)
    report = {"steps": options.steps, "clips": options.clips, "width": options.width, "prompt": PROMPT}
    listed = [{k: None if v == math.inf else v for k, v in asdict(figures).items()} for figures in rows]
    print(f"saved as {Path(save('quantization', {**report, 'schemes': listed})).name}")


if __name__ == "__main__":
    main()

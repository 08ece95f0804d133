"""Bytes of a model's parts by formula, from the sizes that the catalog holds. No torch.

Exact to the byte: ``tests/manager/test_weight_bytes.py`` compares every part of every catalog model with
the module itself, built without memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wan_core.catalog import ModelSpec, Role
from wan_core.manager.device_kinds import PLAIN_BYTES
from wan_core.models.clip.config import CLIPConfig
from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig, MotionConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig
from wan_core.schema.schemes import SCHEMES

Matrix = tuple[int, int]


@dataclass(frozen=True)
class Numbers:
    """What a piece of a model consists of.

    Attributes:
        matrices: (rows, columns) of the large matrices, which a scheme keeps in its own way.
        plain: how many numbers are kept in the computing precision.
        fp32: how many are float32 whatever the precision.
    """

    matrices: tuple[Matrix, ...] = ()
    plain: int = 0
    fp32: int = 0

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(self.matrices + other.matrices, self.plain + other.plain, self.fp32 + other.fp32)

    def nbytes(self, scheme: str, plain: str) -> int:
        """Bytes with the matrices kept as ``scheme`` and the rest as ``plain``."""
        kept = sum(SCHEMES[scheme].nbytes(matrix) for matrix in self.matrices)
        return kept + self.plain * PLAIN_BYTES[plain] + 4 * self.fp32

    @property
    def largest(self) -> int:
        """Numbers of the largest matrix."""
        return max((math.prod(matrix) for matrix in self.matrices), default=0)


@dataclass(frozen=True)
class PartNumbers:
    """A part: its blocks, in order, each as the pieces that run one after another, and the rest."""

    outside: Numbers
    blocks: tuple[tuple[Numbers, ...], ...] = ()


def part_numbers(spec: ModelSpec, role: Role) -> PartNumbers:
    """What a part of a catalog model consists of."""
    return _PARTS[role](spec)


def _linear(inputs: int, outputs: int) -> Numbers:
    """A large matrix with its bias."""
    return Numbers(((outputs, inputs),), plain=outputs)


def _small(*shape: int, bias: int = 0) -> Numbers:
    """Numbers that stay plain."""
    return Numbers(plain=math.prod(shape) + bias)


def _sum(parts: Sequence[Numbers]) -> Numbers:
    return sum(parts, Numbers())


def _dit(config: DiTConfig) -> PartNumbers:
    d, rows = config.dim, math.prod(config.patch_size)
    plane = rows // config.patch_size[0]
    outside = [
        _small(d, config.in_dim, rows, bias=d),
        _small(config.text_dim, d, bias=d) + _small(d, d, bias=d),
        Numbers(fp32=config.freq_dim * d + d + d * d + d),  # time_embedding
        Numbers(fp32=6 * d * d + 6 * d),  # time_projection
        Numbers(fp32=d * config.out_dim * rows + config.out_dim * rows + 2 * d),  # head
    ]
    if config.image_dim:
        w = config.image_dim
        outside.append(_small(w, w, bias=w) + _small(w, d, bias=d) + Numbers(fp32=2 * w + 2 * d))
        outside.append(Numbers(fp32=config.image_positions * w))
    if config.reference_dim:
        outside.append(_small(d, config.reference_dim, plane, bias=d))
    if config.camera_dim:
        outside.append(_small(d, config.camera_dim * PIXELS_PER_CELL**2, plane, bias=d))
        outside.append(_small(2, d, d, 9, bias=2 * d))
    if config.vace_layers:
        outside.append(_small(d, config.vace_in_dim, rows, bias=d))
    blocks = [_dit_block(config)] * config.num_layers
    for number in range(len(config.vace_layers)):
        ends = (_linear(d, d),) * (2 if number == 0 else 1)
        blocks.append((*_plain_dit_block(config), *ends))
    return PartNumbers(_sum(outside), tuple(blocks))


def _plain_dit_block(config: DiTConfig) -> tuple[Numbers, ...]:
    """The pieces of a block; its modulation, which is in no piece, is counted with the first."""
    d = config.dim
    attention = _sum([_linear(d, d)] * 4) + Numbers(fp32=2 * d)
    image = _sum([_linear(d, d)] * 2) + Numbers(fp32=d) if config.image_dim else Numbers()
    feeding = _linear(d, config.ffn_dim) + _linear(config.ffn_dim, d)
    return (attention + Numbers(fp32=6 * d), Numbers(fp32=2 * d), attention + image, feeding)


def _dit_block(config: DiTConfig) -> tuple[Numbers, ...]:
    pieces = _plain_dit_block(config)
    if config.camera_path_dim:
        narrow = _small(config.dim, config.camera_path_dim, bias=config.dim)  # too narrow for any scheme
        pieces += (narrow, _linear(config.dim, config.dim))
    return pieces


def _umt5(config: UMT5Config) -> PartNumbers:
    d, a, f = config.dim, config.dim_attn, config.dim_ffn
    attention = Numbers(((a, d), (a, d), (a, d), (d, a)), config.num_buckets * config.num_heads + d)
    feeding = Numbers(((f, d), (f, d), (d, f)), d)
    return PartNumbers(_small(config.vocab_size, d, bias=d), ((attention, feeding),) * config.num_layers)


def _vae(config: VAEConfig) -> PartNumbers:
    z, widths = config.z_dim, [config.dim * m for m in config.dim_mult]
    down = [config.dim, *widths]
    up = [widths[-1], *widths[::-1]]
    last = len(config.dim_mult) - 1
    numbers = _conv(3, down[0], 27) + _conv(up[-1], 3, 27)
    numbers += _conv(z, up[0], 27) + _conv(2 * z, 2 * z, 1) + _conv(z, z, 1)
    numbers += widths[-1] + _conv(widths[-1], 2 * z, 27) + up[-1]  # the heads and their norms
    numbers += 2 * _vae_middle(widths[-1])
    for stage in range(len(config.dim_mult)):
        before, after = down[stage], down[stage + 1]
        numbers += _residual(before, after) + (config.num_res_blocks - 1) * _residual(after, after)
        before, wide = up[stage] // (1 if stage == 0 else 2), up[stage + 1]
        numbers += _residual(before, wide) + config.num_res_blocks * _residual(wide, wide)
        if stage < last:
            numbers += _conv(after, after, 9) + (_conv(after, after, 3) if stage > 0 else 0)
            numbers += _conv(wide, wide // 2, 9) + (_conv(wide, 2 * wide, 3) if stage < last - 1 else 0)
    return PartNumbers(Numbers(plain=numbers))


def _conv(inputs: int, outputs: int, taps: int) -> int:
    return outputs * inputs * taps + outputs


def _residual(inputs: int, outputs: int) -> int:
    shortcut = 0 if inputs == outputs else _conv(inputs, outputs, 1)
    return inputs + _conv(inputs, outputs, 27) + outputs + _conv(outputs, outputs, 27) + shortcut


def _vae_middle(width: int) -> int:
    attention = width + _conv(width, 3 * width, 1) + _conv(width, width, 1)
    return 2 * _residual(width, width) + attention


def _clip(config: CLIPConfig) -> PartNumbers:
    d, m = config.dim, config.dim_mlp
    block = 4 * d + 3 * d * d + 3 * d + d * d + d + m * d + m + d * m + d
    ends = 3 * d * config.patch_size**2 + d + d * config.num_tokens + 2 * d
    return PartNumbers(Numbers(plain=ends + config.num_layers * block))


def _motion(config: MotionConfig) -> PartNumbers:
    d = config.dim
    return PartNumbers(Numbers(fp32=config.freq_dim * d + d + d * d + d + 6 * d * d + 6 * d))


_PARTS: dict[Role, Callable[[ModelSpec], PartNumbers]] = {
    Role.TRANSFORMER: lambda spec: _dit(spec.dit),
    Role.TEXT_ENCODER: lambda spec: _umt5(spec.text_encoder),
    Role.VAE: lambda spec: _vae(spec.vae),
    Role.IMAGE_ENCODER: lambda spec: _clip(spec.image_encoder),
    Role.MOTION_CONTROLLER: lambda spec: _motion(MotionConfig(spec.dit.dim)),
}

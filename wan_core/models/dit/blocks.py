"""The parts of a Wan DiT. Attribute names are the official checkpoint keys."""

# B batch, L tokens, S text rows, N image rows, D width

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.models.dit.adjusting import Opposed, enhancement
from wan_core.models.dit.config import FED_AT_ONCE, DiTConfig
from wan_core.models.dit.memory import Memory, recalled
from wan_core.ops.attention import attention
from wan_core.ops.chunking import by_tokens, near
from wan_core.ops.norm import RMSNorm, modulated_layer_norm
from wan_core.ops.patchify import Triple, patchify
from wan_core.ops.rope import apply_rope
from wan_core.ops.sparse import Grid


@dataclass(frozen=True)
class DiTContext:
    """What every block reads besides the tokens; made by ``WanDiT.embed``.

    Attributes:
        grid: tokens of the clip along (time, height, width).
        time: (B, D), float32; modulates the head.
        modulation: (B, 6, D), float32; modulates the blocks.
        text: (B, S, D) in the model's compute dtype.
        text_bias: (S,) or None; see ``attention``.
        rope: (L, head_dim / 2), complex64.
        image: (B, N, D) in compute dtype; None in a model that attends to no picture.
        vace: (B, L, D) in compute dtype, the tokens of the VACE context; None where no hints are made.
        vace_scale: what the VACE hints are multiplied by.
        front: tokens before those of the clip, a reference's; what follows the clip's goes on to the end.
        camera_path: (B, latent frames of all tokens, camera_path_dim) in compute dtype; None in a model
            without.
        memory: keeps the keys and values of ``text`` and ``image``; None where they are made each time.
        skipped: numbers of the blocks that are left out.
        opposed: the prompt that attention is led away from; None for none.
        enhance: see ``Adjustments``.
    """

    grid: Triple
    time: Tensor
    modulation: Tensor
    text: Tensor
    text_bias: Tensor | None
    rope: Tensor
    image: Tensor | None = None
    vace: Tensor | None = None
    vace_scale: float = 1.0
    front: int = 0
    camera_path: Tensor | None = None
    memory: Memory | None = None
    skipped: frozenset[int] = frozenset()
    opposed: Opposed | None = None
    enhance: float = 0.0


class PatchEmbedding(nn.Conv3d):
    """A convolution whose stride is its kernel, carried out as one matrix product (spec 1.1)."""

    def __init__(self, in_dim: int, dim: int, patch_size: Triple) -> None:
        super().__init__(in_dim, dim, patch_size, patch_size)

    def forward(self, latents: Tensor) -> Tensor:
        """(B, in_dim, F, H, W) -> (B, L, D), in the dtype of the weight."""
        patches = patchify(latents.to(self.weight.dtype), self.kernel_size)
        return F.linear(patches, self.weight.flatten(1), self.bias)


class Attention(nn.Module):
    """The projections and norms that self and cross attention share (spec 1.5, 1.7)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q = nn.Linear(config.dim, config.dim)
        self.k = nn.Linear(config.dim, config.dim)
        self.v = nn.Linear(config.dim, config.dim)
        self.o = nn.Linear(config.dim, config.dim)
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def heads(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, heads, head_dim)."""
        return x.unflatten(2, (self.num_heads, -1))


class SelfAttention(Attention):
    """Attention among the tokens, with rotary positions."""

    def forward(self, x: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D) in compute dtype -> the same."""
        query = by_tokens(partial(self._placed, self.q, self.norm_q), near(x), x, context.rope[None])
        key = by_tokens(partial(self._placed, self.k, self.norm_k), near(x), x, context.rope[None])
        grid = Grid(context.grid, context.front)
        if not context.enhance or context.grid[0] == 1:
            return self.o(attention(query, key, self.heads(self.v(x)), grid=grid))
        gain = enhancement(query, key, context.grid, context.front, context.enhance).to(x.dtype)
        return self.o(attention(query, key, self.heads(self.v(x)), grid=grid)).mul_(gain)

    def _placed(self, layer: nn.Linear, norm: RMSNorm, x: Tensor, rope: Tensor) -> Tensor:
        """(B, n, D) and (1, n, head_dim / 2) -> queries or keys (B, n, heads, head_dim), in place."""
        return apply_rope(self.heads(norm(layer(x))), rope[0]).to(x.dtype)


class CrossAttention(Attention):
    """Attention from the tokens to the text, without positions or mask."""

    def forward(self, x: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D) in compute dtype -> the same."""
        query = self.heads(self.norm_q(self.q(x))).to(x.dtype)
        return self.o(self.attend(query, context))

    def attend(self, query: Tensor, context: DiTContext) -> Tensor:
        """(B, L, heads, head_dim) -> (B, L, D): what the tokens gather, before ``o``."""
        key, value = recalled(context.memory, context.text, self, self.read)
        gathered = attention(query, key, value, context.text_bias)
        if context.opposed is None:
            return gathered
        key, value = recalled(context.memory, context.opposed.text, self, self.read)
        return context.opposed.lead(gathered, attention(query, key, value, context.opposed.text_bias))

    def read(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) in compute dtype -> keys and values, each (B, S, heads, head_dim)."""
        return self.heads(self.norm_k(self.k(text))).to(text.dtype), self.heads(self.v(text))


class ImageCrossAttention(CrossAttention):
    """Attends to the text and to the picture: two softmaxes, summed before ``o`` (spec 1.7)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__(config)
        self.k_img = nn.Linear(config.dim, config.dim)
        self.v_img = nn.Linear(config.dim, config.dim)
        self.norm_k_img = RMSNorm(config.dim, config.eps)

    def attend(self, query: Tensor, context: DiTContext) -> Tensor:
        """(B, L, heads, head_dim) -> (B, L, D): the sum over both, before ``o``."""
        key, value = recalled(context.memory, context.image, self, self.read_image)
        return super().attend(query, context) + attention(query, key, value)

    def read_image(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, D) in compute dtype -> keys and values, each (B, N, heads, head_dim)."""
        return self.heads(self.norm_k_img(self.k_img(image))).to(image.dtype), self.heads(self.v_img(image))


class Block(nn.Module):
    """One transformer block on a float32 residual stream (spec 1.4)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.self_attn = SelfAttention(config)
        self.norm3 = nn.LayerNorm(config.dim, eps=config.eps)
        self.cross_attn = ImageCrossAttention(config) if config.image_dim else CrossAttention(config)
        self.ffn = nn.Sequential(
            nn.Linear(config.dim, config.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.ffn_dim, config.dim),
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, config.dim) / config.dim**0.5)

    def forward(self, tokens: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D), float32 -> the same."""
        dtype = context.text.dtype
        shift, scale, gate, *rows = (self.modulation.float() + context.modulation).chunk(6, dim=1)
        size = near(tokens)
        x = by_tokens(partial(self._read, shift, scale, dtype), size, tokens)
        if size is not None and context.memory is not None:  # keys and values are not made for each piece
            finish = partial(self._finish, gate, rows, context)
            return by_tokens(finish, size, tokens, self.attend(x, context))
        tokens = torch.addcmul(tokens, self.attend(x, context).float(), gate)
        del x  # not to be held by what follows
        tokens = tokens + self.cross_attn(self.norm3(tokens).to(dtype), context)
        return by_tokens(partial(self.feed, rows, dtype), size or FED_AT_ONCE, tokens)

    def _read(self, shift: Tensor, scale: Tensor, dtype: torch.dtype, tokens: Tensor) -> Tensor:
        return modulated_layer_norm(tokens, shift, scale, self.eps).to(dtype)

    def _finish(
        self, gate: Tensor, rows: Sequence[Tensor], context: DiTContext, tokens: Tensor, learnt: Tensor
    ) -> Tensor:
        """All that follows what tokens have ``learnt`` from each other, (B, n, D) in compute dtype."""
        tokens = torch.addcmul(tokens, learnt.float(), gate)
        tokens = tokens + self.cross_attn(self.norm3(tokens).to(learnt.dtype), context)
        return self.feed(rows, learnt.dtype, tokens)

    def feed(self, rows: Sequence[Tensor], dtype: torch.dtype, tokens: Tensor) -> Tensor:
        """What each token does by itself: (B, n, D), float32 -> the same.

        Args:
            rows: shift, scale and gate, each (B, 1, D) or (1, 1, D), float32.
            dtype: to compute in.
            tokens: some of them, or all.
        """
        shift, scale, gate = rows
        return torch.addcmul(tokens, self.ffn(self._read(shift, scale, dtype, tokens)).float(), gate)

    def attend(self, x: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D) in compute dtype -> the same: what the tokens learn from each other."""
        return self.self_attn(x, context)


class Head(nn.Module):
    """Tokens to the velocity of their patches, in float32 (spec 1.9)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        patch_volume = config.patch_size[0] * config.patch_size[1] * config.patch_size[2]
        self.head = nn.Linear(config.dim, config.out_dim * patch_volume)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

    def forward(self, tokens: Tensor, time: Tensor) -> Tensor:
        """(B, L, D) and (B, D), float32 -> (B, L, prod(patch) * out_dim), float32."""
        shift, scale = (self.modulation.float() + time[:, None]).chunk(2, dim=1)
        return self.head(modulated_layer_norm(tokens, shift, scale, self.eps))

"""The parts of a DiT that have weights, by their official names: what a LoRA may change. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig

Shape = tuple[int, ...]


def part_shapes(config: DiTConfig) -> dict[str, Shape]:
    """Name -> shape of every layer's weight, and of the parameters that belong to no layer."""
    return dict(_parts(config))


def _parts(config: DiTConfig) -> Iterator[tuple[str, Shape]]:
    dim, patch = config.dim, config.patch_size
    yield "patch_embedding", (dim, config.in_dim, *patch)
    yield "text_embedding.0", (dim, config.text_dim)
    yield "text_embedding.2", (dim, dim)
    yield "time_embedding.0", (dim, config.freq_dim)
    yield "time_embedding.2", (dim, dim)
    yield "time_projection.1", (6 * dim, dim)
    for number in range(config.num_layers):
        yield from _block(f"blocks.{number}", config)
        if config.camera_path_dim:
            yield f"blocks.{number}.cam_encoder", (dim, config.camera_path_dim)
            yield f"blocks.{number}.projector", (dim, dim)
    yield "head.head", (config.out_dim * patch[0] * patch[1] * patch[2], dim)
    yield "head.modulation", (1, 2, dim)
    yield from _beside(config)


def _block(name: str, config: DiTConfig) -> Iterator[tuple[str, Shape]]:
    dim = config.dim
    for attention in ("self_attn", "cross_attn"):
        with_image = ("k_img", "v_img") if config.image_dim and attention == "cross_attn" else ()
        for layer in ("q", "k", "v", "o", *with_image):
            yield f"{name}.{attention}.{layer}", (dim, dim)
        for norm in ("norm_q", "norm_k", *(["norm_k_img"] if with_image else [])):
            yield f"{name}.{attention}.{norm}", (dim,)
    yield f"{name}.norm3", (dim,)
    yield f"{name}.ffn.0", (config.ffn_dim, dim)
    yield f"{name}.ffn.2", (dim, config.ffn_dim)
    yield f"{name}.modulation", (1, 6, dim)


def _beside(config: DiTConfig) -> Iterator[tuple[str, Shape]]:
    """What only some kinds have beside the blocks."""
    dim, patch, width = config.dim, config.patch_size, config.image_dim
    if width:
        yield "img_emb.proj.0", (width,)
        yield "img_emb.proj.1", (width, width)
        yield "img_emb.proj.3", (dim, width)
        yield "img_emb.proj.4", (dim,)
    if width and config.image_positions:
        yield "img_emb.emb_pos", (1, config.image_positions, width)
    if config.reference_dim:
        yield "ref_conv", (dim, config.reference_dim, *patch[1:])
    if config.camera_dim:
        yield "control_adapter.conv", (dim, config.camera_dim * PIXELS_PER_CELL**2, *patch[1:])
        yield "control_adapter.residual_blocks.0.conv1", (dim, dim, 3, 3)
        yield "control_adapter.residual_blocks.0.conv2", (dim, dim, 3, 3)
    if config.vace_layers:
        yield "vace_patch_embedding", (dim, config.vace_in_dim, *patch)
    for number in range(len(config.vace_layers)):
        yield from _block(f"vace_blocks.{number}", config)
        yield f"vace_blocks.{number}.after_proj", (dim, dim)
        if number == 0:
            yield f"vace_blocks.{number}.before_proj", (dim, dim)

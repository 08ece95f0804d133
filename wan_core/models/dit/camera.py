"""How a DiT takes in a camera: as rays beside the latents, or as a path that every block reads.

Attribute names are the checkpoints' keys: PAI's Fun-Control-Camera, and ReCamMaster.
"""

# B batch, F latent frames, H W latent grid, L tokens, D width

from __future__ import annotations

from torch import Tensor, nn

from wan_core.models.dit.blocks import Block, DiTContext
from wan_core.models.dit.config import PIXELS_PER_CELL, DiTConfig


class ResidualBlock(nn.Module):
    """Two convolutions over a frame of tokens, added to what they read."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, D, h, w) -> the same."""
        return x + self.conv2(self.relu(self.conv1(x)))


class CameraAdapter(nn.Module):
    """Brings the rays of a camera to one vector per token, which is added to the patch embedding."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        patch = config.patch_size[1:]
        self.fold = nn.PixelUnshuffle(PIXELS_PER_CELL)
        self.conv = nn.Conv2d(config.camera_dim * PIXELS_PER_CELL**2, config.dim, patch, patch)
        self.residual_blocks = nn.Sequential(ResidualBlock(config.dim))

    def forward(self, camera: Tensor) -> Tensor:
        """(B, camera_dim, F, 8 H, 8 W) -> (B, L, D), in the dtype of the weights; frame by frame."""
        batch = camera.shape[0]
        frames = camera.to(self.conv.weight.dtype).transpose(1, 2).flatten(0, 1)
        tokens = self.residual_blocks(self.conv(self.fold(frames)))
        return tokens.flatten(2).transpose(1, 2).unflatten(0, (batch, -1)).flatten(1, 2)


class RecamBlock(Block):
    """A transformer block whose self-attention knows where the new camera is in every latent frame."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__(config)
        self.cam_encoder = nn.Linear(config.camera_path_dim, config.dim)
        self.projector = nn.Linear(config.dim, config.dim)

    def attend(self, x: Tensor, context: DiTContext) -> Tensor:
        """(B, L, D) in compute dtype -> the same; a pose is added to all tokens of its frame."""
        poses = self.cam_encoder(context.camera_path)
        placed = x.unflatten(1, (poses.shape[1], -1)) + poses[:, :, None]
        return self.projector(super().attend(placed.flatten(1, 2), context))

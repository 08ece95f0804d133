"""Training of a Wan VAE on the demo world: single frames, then short clips, then whole ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wan_core.models.vae.blocks import CausalConv3d, Downsample, Upsample
from wan_core.models.vae.config import LATENTS_MEAN, LATENTS_STD, VAEConfig
from wan_core.models.vae.model import WanVAE
from wan_core.training.loop import TrainingLoop
from wan_core.training.world import JOURNEY, draw, random_scene

KL_WEIGHT = 3e-5
_TWO_THINGS = 0.3  # share of training scenes with two things; more than the DiT sees
_EDGE_WEIGHT = 10.0  # what a full edge counts more than plain ground, where only the decoder learns
_LATENT_NOISE = 0.12  # of a latent channel's spread: a DiT's latents are not as clean as an encoder's
_LEAST_SPREAD = 0.3  # a latent channel that says less than this is left small instead of blown up


@dataclass(frozen=True)
class Phase:
    """Train on clips of ``frames`` frames until step ``until``, ``batch`` at a time.

    ``decoder_only`` leaves the latents as they are and refines what is drawn from them.
    """

    until: int
    frames: int
    batch: int
    decoder_only: bool = False


PHASES = (
    Phase(1250, 1, 32),
    Phase(1500, 5, 12),
    Phase(1700, 9, 7),
    Phase(2000, 17, 5),
    Phase(4000, 17, 4, decoder_only=True),
)


def train(loop: TrainingLoop) -> None:
    """Run ``loop``, which holds a ``VAEObjective``, through the phases that are left."""
    for phase in PHASES:
        if loop.step >= phase.until:
            continue
        if loop.step in {earlier.until for earlier in PHASES}:  # the end of one phase
            loop.restart()
        objective = loop.accelerator.unwrap_model(loop.model)
        objective.freeze_encoder(phase.decoder_only)
        loop.run(partial(_loss_at, phase), phase.until)
        if loop.step < phase.until:  # out of time
            return


def build(config: VAEConfig, seed: int = 0) -> WanVAE:
    """A fresh VAE whose convolutions look at one frame at first, so that frames teach it clips."""
    torch.manual_seed(seed)
    vae = WanVAE(config)
    for module in vae.modules():
        if isinstance(module, CausalConv3d):
            _start_from_one_frame(module)
        elif isinstance(module, Downsample) and module.time_conv is not None:
            _start_from_average(module.time_conv)
    for module in vae.modules():
        if isinstance(module, Upsample) and module.time_conv is not None:
            _start_from_repeat(module.time_conv)
    for parameter in vae.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return vae


@torch.no_grad()
def _start_from_one_frame(conv: CausalConv3d) -> None:
    fan_in = conv.weight[:, :, -1].numel() / conv.out_channels
    conv.weight.zero_()
    conv.weight[:, :, -1].normal_(std=fan_in**-0.5)
    conv.bias.zero_()


@torch.no_grad()
def _start_from_average(conv: nn.Conv3d) -> None:
    conv.weight.normal_(std=0.01)
    conv.weight[:, :, 1, 0, 0] += 0.4 * torch.eye(conv.in_channels)
    conv.weight[:, :, 2, 0, 0] += 0.6 * torch.eye(conv.in_channels)
    conv.bias.zero_()


@torch.no_grad()
def _start_from_repeat(conv: nn.Conv3d) -> None:
    conv.weight.normal_(std=0.01)
    conv.weight[:, :, 2, 0, 0] += torch.eye(conv.in_channels).repeat(2, 1)
    conv.bias.zero_()


class VAEObjective(nn.Module):
    """Frames and noise -> reconstruction error plus a little KL divergence, a scalar.

    With its encoder frozen, the decoder learns to draw sharply from latents that are a little off.
    """

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae
        self.is_refining = False

    def freeze_encoder(self, frozen: bool) -> None:
        """Whether only what is drawn from the latents learns, and not the latents."""
        self.is_refining = frozen
        self.vae.encoder.requires_grad_(not frozen)
        self.vae.conv1.requires_grad_(not frozen)

    def forward(self, frames: Tensor, noise: Tensor) -> Tensor:
        frames, noise = (tensor.to(self.vae.conv1.weight.device) for tensor in (frames, noise))
        return self._refine(frames, noise) if self.is_refining else self._learn(frames, noise)

    def _learn(self, frames: Tensor, noise: Tensor) -> Tensor:
        mean, log_variance = self.vae.moments(frames)
        log_variance = log_variance.float().clamp(-12, 4)
        mean = mean.float()
        z = mean + (0.5 * log_variance).exp() * noise
        error = self.vae.reconstruct(z).float() - frames
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return error.square().mean() + 0.5 * error.abs().mean() + KL_WEIGHT * divergence

    def _refine(self, frames: Tensor, noise: Tensor) -> Tensor:
        """Edges count more: corners tell a square from a circle and are a small part of a picture."""
        with torch.no_grad():
            mean = self.vae.moments(frames)[0].float()
        share = torch.linspace(0, _LATENT_NOISE, len(frames), device=mean.device).view(-1, 1, 1, 1, 1)
        z = mean + share * mean.std(dim=(0, 2, 3, 4), keepdim=True) * noise
        error = self.vae.reconstruct(z).float() - frames
        return (edge_weights(frames) * (error.square() + 0.3 * error.abs())).mean()


def edge_weights(frames: Tensor) -> Tensor:
    """(B, 3, T, H, W) in [-1, 1] -> (B, 1, T, H, W), 1 on average: the more, the more contrast is near."""
    window = ((1, 3, 3), 1, (0, 1, 1))
    contrast = F.max_pool3d(frames, *window) + F.max_pool3d(-frames, *window)
    weights = 1 + _EDGE_WEIGHT * contrast.amax(dim=1, keepdim=True).clamp(0, 1)
    return weights / weights.mean()


def skip_to_refinement(loop: TrainingLoop) -> None:
    """Begin where only the decoder learns: a finished VAE gets sharper and its latents stay the same."""
    loop.step = loop.started = PHASES[-2].until


def _loss_at(phase: Phase, model: nn.Module, step: int) -> Tensor:
    """The loss of the batch that belongs to ``step``."""
    frames = clips(step, phase.batch, phase.frames)
    generator = torch.Generator().manual_seed(step)
    side = frames.shape[-1] // 8
    noise = torch.randn(phase.batch, 16, (phase.frames + 3) // 4, side, side, generator=generator)
    return model(frames, noise)


def clips(seed: int, batch: int, frames: int) -> Tensor:
    """(batch, 3, frames, 64, 64) out of random scenes, decided by ``seed``."""
    rng = random.Random(f"vae {seed}")
    latest = max(0, JOURNEY - frames)
    return torch.stack(
        [draw(random_scene(rng, _TWO_THINGS), frames, rng.randint(0, latest)) for _ in range(batch)]
    )


@torch.no_grad()
def adopt_official_scaling(vae: WanVAE, samples: Tensor) -> None:
    """Fold an affine map into ``conv1`` and ``conv2`` so that the official mean and spread fit this VAE.

    Reconstructions stay the same; normalised latents of ``samples`` (B, 3, T, H, W) get mean 0 and
    spread 1, except that channels which say almost nothing stay small.
    """
    mean, _ = vae.moments(samples)
    own_mean = mean.mean(dim=(0, 2, 3, 4))
    own_std = mean.std(dim=(0, 2, 3, 4)).clamp_min(_LEAST_SPREAD)
    gain = torch.tensor(LATENTS_STD) / own_std
    offset = torch.tensor(LATENTS_MEAN) - own_mean * gain
    z = vae.config.z_dim
    vae.conv1.weight[:z] *= gain.view(-1, 1, 1, 1, 1)
    vae.conv1.bias[:z] = vae.conv1.bias[:z] * gain + offset
    weight = vae.conv2.weight / gain.view(1, -1, 1, 1, 1)
    vae.conv2.bias -= (weight.flatten(1) * offset).sum(dim=1)
    vae.conv2.weight.copy_(weight)


@torch.no_grad()
def reconstruction_psnr(vae: WanVAE, count: int = 24, frames: int = 17) -> float:
    """Mean PSNR in dB of whole unseen clips, on pixel values in [0, 1]."""
    scores = []
    for i in range(count):
        clip = clips(-1 - i, 1, frames)
        error = F.mse_loss(vae.decode(vae.encode(clip)) / 2, clip / 2).item()
        scores.append(-10 * torch.tensor(error).log10().item())
    return sum(scores) / count

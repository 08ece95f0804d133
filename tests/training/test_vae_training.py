"""What the VAE's training promises beyond the VAE itself."""

import torch

from wan_core.models.vae.config import VAEConfig
from wan_core.training import vae_training
from wan_core.training.export import export_vae, fit_preview
from wan_core.training.loop import LoopConfig, TrainingLoop

TINY = VAEConfig(dim=4, dim_mult=(1, 2, 2, 2), num_res_blocks=1)


def test_a_fresh_vae_treats_later_frames_as_the_first():
    vae = vae_training.build(TINY).eval()
    frame = vae_training.clips(1, 1, 1)
    with torch.no_grad():
        still = vae.encode(frame.expand(-1, -1, 5, -1, -1))
    first, second = still.unbind(2)
    assert (
        first - second
    ).abs().max() < 0.5 * first.std()  # but for the small noise of the time convolutions


def test_official_scaling_is_adopted_without_changing_what_is_drawn():
    vae = vae_training.build(TINY).eval()
    clips = vae_training.clips(2, 4, 5)
    with torch.no_grad():
        before = vae.reconstruct(vae.moments(clips)[0])
        vae_training.adopt_official_scaling(vae, clips)
        latents = vae.encode(clips)
        after = vae.reconstruct(vae.moments(clips)[0])
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    assert latents.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-4
    assert latents.std(dim=(0, 2, 3, 4)).max() < 1.001


def test_export_writes_what_loads(tmp_path):
    from wan_core.manager.loading import load_vae

    vae = vae_training.build(TINY).eval()
    clips = vae_training.clips(3, 2, 5)
    export_vae(vae, tmp_path, clips)
    loaded = load_vae(tmp_path, ["Wan2.1_VAE.pth"], torch.float32, TINY)
    torch.testing.assert_close(loaded.encode(clips), vae.encode(clips), atol=0.02, rtol=0.02)


def test_preview_colours_fit_flat_pictures():
    vae = vae_training.build(TINY).eval()
    table = fit_preview(vae, vae_training.clips(4, 4, 5))
    assert len(table["factors"]) == 16 and len(table["bias"]) == 3
    assert all(len(row) == 3 for row in table["factors"])


def test_refinement_leaves_the_latents_as_they_are(tmp_path, monkeypatch):
    phases = (vae_training.Phase(1, 1, 1), vae_training.Phase(3, 5, 1, decoder_only=True))
    monkeypatch.setattr(vae_training, "PHASES", phases)
    vae = vae_training.build(TINY)
    config = LoopConfig(tmp_path, 3, 1e-2, warmup=1, precision="no")
    loop = TrainingLoop(vae_training.VAEObjective(vae), config)
    vae_training.skip_to_refinement(loop)
    encoder = vae.encoder.conv1.weight.detach().clone()
    decoder = vae.decoder.conv1.weight.detach().clone()
    vae_training.train(loop)
    assert loop.step == 3
    assert torch.equal(vae.encoder.conv1.weight, encoder)
    assert not torch.equal(vae.decoder.conv1.weight, decoder)


def test_edges_count_more_than_plain_ground():
    frames = torch.full((1, 3, 2, 8, 8), -1.0)
    frames[..., 4:] = 1.0
    weights = vae_training.edge_weights(frames)
    assert weights.shape == (1, 1, 2, 8, 8)
    torch.testing.assert_close(weights.mean(), torch.tensor(1.0))
    assert torch.equal(weights[0, 0, 0, 0] > weights[0, 0, 0, 0, 0], torch.arange(8).sub(3.5).abs() < 1)
    torch.testing.assert_close(weights[..., 4] / weights[..., 0], torch.full((1, 1, 2, 8), 11.0))

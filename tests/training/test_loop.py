"""A resumed run equals an unbroken one, to the bit."""

import torch
from torch import nn

from wan_core.training.loop import LoopConfig, TrainingLoop


class Objective(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noisy = x + torch.rand_like(x)  # the global generator's state must be resumed too
        return (self.layer(noisy) - x).square().mean()


def loss_at(model: nn.Module, step: int) -> torch.Tensor:
    return model(torch.randn(8, 4, generator=torch.Generator().manual_seed(step)))


def loop(folder, steps: int) -> TrainingLoop:
    config = LoopConfig(folder, steps=12, learning_rate=0.1, warmup=3, ema_decay=0.9, precision="no")
    made = TrainingLoop(Objective(), config)
    torch.manual_seed(7)
    made.resume()
    made.run(loss_at, until=steps)
    return made


def weights(trained: TrainingLoop) -> list[torch.Tensor]:
    return [p.detach().clone() for p in (*trained.model.parameters(), *trained.averaged.parameters())]


def test_resumed_equals_unbroken(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    unbroken = weights(loop(tmp_path / "a", 12))
    loop(tmp_path / "b", 5)
    resumed = weights(loop(tmp_path / "b", 12))
    assert all(torch.equal(a, b) for a, b in zip(unbroken, resumed, strict=True))


def test_restart_goes_on_from_the_averaged_weights(tmp_path):
    trained = loop(tmp_path, 6)
    trained.restart()
    live, mean = trained.model.layer.weight, trained.averaged.module.layer.weight
    assert torch.equal(live, mean) and not trained.optimizer.state
    assert trained.config.rate(6, trained.started) < trained.config.rate(6, 0)


def test_the_rate_rises_holds_and_falls(tmp_path):
    config = LoopConfig(tmp_path, steps=1000, learning_rate=1.0, warmup=10, decay_from=0.5)
    assert config.rate(0, 0) == 0.1
    assert config.rate(300, 0) == 1.0
    assert config.rate(750, 0) == 0.51
    assert abs(config.rate(1000, 0) - 0.02) < 1e-9

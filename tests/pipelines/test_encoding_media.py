"""Media to latents: streamed, in bounded memory, with the room that it needs asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.pipelines.conditioning_jobs import HEIGHT, WIDTH, Desk, pixels, random_frames
from wan_core.catalog import ModelSpec, Role
from wan_core.models.vae.config import encoding_bytes
from wan_core.pipelines.encoding_media import (
    encode_chunks,
    encode_frames,
    load_picture,
    pixel_chunks,
    read_picture,
    to_pixels,
)
from wan_core.schema import Cancelled, GenerationFailed, MediaError, ProgressEvent, Settings
from wan_core.schema.inputs import Given


@pytest.fixture
def desk(tiny_spec: ModelSpec, settings: Settings, tmp_path: Path) -> Desk:
    return Desk(tiny_spec, settings, tmp_path)


class Lender:
    """Lends one module, whatever is asked for."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.asked: list[tuple[Role, int]] = []

    @contextmanager
    def use(self, spec: ModelSpec, role: Role, emit: object, working: int = 0) -> Iterator[nn.Module]:
        self.asked.append((role, working))
        yield self.module


class LazyVAE(nn.Module):
    """Encodes a group to its mean; tells how many chunks had been asked for by then."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))

    def encode_stream(self, chunks: Iterator[Tensor]) -> Iterator[Tensor]:
        for chunk in chunks:
            yield (chunk.mean() + self.weight).expand(1, 1, 1, 2, 2)


def test_pixels_are_exact() -> None:
    frames = random_frames(3)
    assert torch.equal(to_pixels(frames), pixels(frames))
    ends = to_pixels(np.array([[[[0, 255, 51]]]], np.uint8))
    torch.testing.assert_close(ends.flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    chunks = list(pixel_chunks(random_frames(9)))
    assert [chunk.shape[2] for chunk in chunks] == [4, 4, 1]
    assert torch.equal(torch.cat(chunks, dim=2), pixels(random_frames(9)))


def test_a_stream_is_encoded_as_the_whole_clip(desk: Desk) -> None:
    frames = pixels(random_frames(9))
    latents = encode_frames(desk.job(), frames)
    with desk.manager.use(desk.spec, Role.VAE, lambda event: None) as vae, torch.no_grad():
        expected = vae.encode(frames)
    assert (latents.dtype, latents.device.type) == (torch.float32, "cpu")
    assert not latents.requires_grad and not latents.is_inference()
    torch.testing.assert_close(latents, expected, rtol=1e-5, atol=1e-5)


def test_chunks_are_asked_for_one_by_one(desk: Desk) -> None:
    given, reported = 0, []

    def chunks() -> Iterator[Tensor]:
        nonlocal given
        for _ in range(3):
            given += 1
            yield torch.zeros(1, 3, 4, HEIGHT, WIDTH)

    def emit(event: ProgressEvent) -> None:
        reported.append((event.step, given))

    lender = Lender(LazyVAE())
    job = dataclasses.replace(desk.job(emit), source=lender)
    encode_chunks(job, chunks(), 9)
    assert reported == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert lender.asked == [(Role.VAE, encoding_bytes(desk.spec.vae, WIDTH, HEIGHT))]


def test_cancelling_ends_the_encoding_at_once(desk: Desk) -> None:
    seen: list[int] = []

    def emit(event: ProgressEvent) -> None:
        seen.append(event.step)
        if event.step == 1:
            raise Cancelled

    job = dataclasses.replace(desk.job(emit), source=Lender(LazyVAE()))
    with pytest.raises(Cancelled):
        encode_chunks(job, iter([torch.zeros(1, 3, 4, 8, 8)] * 5), 17)
    assert seen == [0, 1]


def test_nan_is_told(desk: Desk) -> None:
    job = dataclasses.replace(desk.job(), source=Lender(LazyVAE(float("nan"))))
    with pytest.raises(GenerationFailed, match="encoded a frame to NaN; try precision fp32"):
        encode_frames(job, torch.zeros(1, 3, 1, 8, 8))


def test_pictures_come_as_they_are_and_at_the_clips_size(desk: Desk) -> None:
    [frame] = random_frames(1, width=100, height=40)
    job, name = desk.job(fit="crop"), desk.picture(frame)
    assert torch.equal(read_picture(job, Given(name)), pixels(frame[None])[:, :, 0])
    assert load_picture(job, Given(name)).shape == (1, 3, HEIGHT, WIDTH)
    job.inputs.path(name).unlink()
    with pytest.raises(MediaError, match="is gone; choose the file again"):
        load_picture(job, Given(name))

"""The tiny decoder: its numbers, its frames, its file, and the previews that it draws."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from tests.models.randomise import randomise
from wan_core.manager.library import Library
from wan_core.manager.tiny_decoder import TinyDecoders, find_tiny_decoder, load_tiny_decoder
from wan_core.models.tiny_vae.checkpoint import GROWING, TinyDecoderConfig, infer_config
from wan_core.models.tiny_vae.model import TinyDecoder
from wan_core.pipelines.preview import DECODED_SIDE, OFFICIAL_LATENT_RGB, Previews, decode_small
from wan_core.schema import Settings, WeightsError

SMALL = TinyDecoderConfig(16, (12, 10, 8, 6))
FRAMES = 3
CPU = torch.device("cpu")

OFFICIAL_SHAPES = {
    "decoder.1.weight": (256, 16, 3, 3),
    "decoder.3.conv.0.weight": (256, 512, 3, 3),
    "decoder.3.conv.4.bias": (256,),
    "decoder.7.conv.weight": (256, 256, 1, 1),
    "decoder.8.weight": (128, 256, 3, 3),
    "decoder.11.conv.2.weight": (128, 128, 3, 3),
    "decoder.13.conv.weight": (256, 128, 1, 1),
    "decoder.14.weight": (64, 128, 3, 3),
    "decoder.19.conv.weight": (128, 64, 1, 1),
    "decoder.20.weight": (64, 64, 3, 3),
    "decoder.22.weight": (3, 64, 3, 3),
    "decoder.22.bias": (3,),
}


@pytest.fixture
def decoder() -> TinyDecoder:
    return randomise(TinyDecoder(SMALL)).eval()


def whole_clip(state: dict[str, Tensor], latents: Tensor) -> Tensor:
    """The decoder written out for a clip at once, in float64; gives (4T - 3, 3, 8H, 8W)."""
    state = {name.removeprefix("decoder."): tensor.double() for name, tensor in state.items()}

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), padding=1)

    x = latents[0].transpose(0, 1).double()
    x = F.relu(conv(3 * torch.tanh(x / 3), "1"))
    for blocks, grow in (((3, 4, 5), 7), ((9, 10, 11), 13), ((15, 16, 17), 19)):
        for block in blocks:
            shifted = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:-1]
            inner = F.relu(conv(torch.cat([x, shifted], dim=1), f"{block}.conv.0"))
            inner = F.relu(conv(inner, f"{block}.conv.2"))
            x = F.relu(conv(inner, f"{block}.conv.4") + x)
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        grown = torch.einsum("oc,tchw->tohw", state[f"{grow}.conv.weight"][:, :, 0, 0], x)
        frames = [grown[:, part * x.shape[1] : (part + 1) * x.shape[1]] for part in range(GROWING[grow])]
        x = torch.stack(frames, dim=1).flatten(0, 1)
        x = conv(x, str(grow + 1))
    return conv(F.relu(x), "22")[3:].clamp(0, 1)


def test_it_is_the_written_out_decoder_frame_by_frame(decoder: TinyDecoder) -> None:
    latents = torch.randn(1, 16, FRAMES, 4, 6, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        chunks = list(decoder(latents))
    assert [len(chunk) for chunk in chunks] == [1, 4, 4]
    expected = whole_clip(decoder.state_dict(), latents)
    assert expected.shape == (4 * FRAMES - 3, 3, 32, 48)
    assert expected.std() > 0.01 and 0 < expected.mean() < 1
    assert torch.allclose(torch.cat(chunks).double(), expected, atol=1e-5)


def test_it_bears_the_official_names_and_sizes() -> None:
    with torch.device("meta"):
        state = TinyDecoder(TinyDecoderConfig()).state_dict()
    assert {name: tuple(state[name].shape) for name in OFFICIAL_SHAPES} == OFFICIAL_SHAPES
    assert len(state) == 1 + 1 + 9 * 6 + 3 + 3 + 2
    assert infer_config({name: tensor.shape for name, tensor in state.items()}) == TinyDecoderConfig()


def write(path: Path, decoder: TinyDecoder, **changes: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    other_half = {"encoder.0.weight": torch.ones(4, 3, 3, 3)}
    save_file({**decoder.state_dict(), **other_half, **changes}, path)


def test_its_file_is_found_by_what_it_holds_and_its_name(tmp_path: Path, decoder: TinyDecoder) -> None:
    settings = Settings(home=tmp_path)
    library = Library(settings, tmp_path / "hub")
    write(settings.models_dir / "vae_approx" / "taehv.safetensors", decoder)  # of another model
    assert find_tiny_decoder(library) is None
    write(settings.models_dir / "vae_approx" / "taew2_1.safetensors", decoder)
    library.files(fresh=True)
    found = find_tiny_decoder(library)
    assert (found.name, found.what) == ("vae_approx/taew2_1.safetensors", "a tiny decoder for previews")
    lent = TinyDecoders().lend(library, CPU)
    assert all(torch.equal(tensor, lent.state_dict()[name]) for name, tensor in decoder.state_dict().items())


def test_a_file_that_grows_more_frames_gives_the_last(tmp_path: Path, decoder: TinyDecoder) -> None:
    own = decoder.state_dict()["decoder.7.conv.weight"]
    wide = torch.cat([torch.full_like(own, 9.0), own])
    library = Library(Settings(home=tmp_path), tmp_path / "hub")
    write(tmp_path / "models" / "taew2_1.safetensors", decoder, **{"decoder.7.conv.weight": wide})
    assert torch.equal(TinyDecoders().lend(library, CPU).decoder[7].conv.weight, own)


def test_half_a_file_is_refused_and_previews_go_on(tmp_path: Path, decoder: TinyDecoder) -> None:
    path = tmp_path / "models" / "taew2_1.safetensors"
    path.parent.mkdir()
    save_file({k: v for k, v in decoder.state_dict().items() if not k.startswith("decoder.9.")}, path)
    library = Library(Settings(home=tmp_path), tmp_path / "hub")
    with pytest.raises(WeightsError, match="no whole tiny decoder"):
        load_tiny_decoder(find_tiny_decoder(library))
    assert TinyDecoders().lend(library, CPU) is None


def test_previews_are_what_it_decodes_made_smaller(decoder: TinyDecoder) -> None:
    latents = torch.randn(1, 16, FRAMES, 4, DECODED_SIDE // 8 + 1, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        last = torch.stack([frames[-1] for frames in decoder(latents)])
    small = decode_small(latents, decoder)
    assert small.shape == (FRAMES, 16, (DECODED_SIDE + 8) // 2, 3)
    expected = F.avg_pool2d(last, 2).permute(0, 2, 3, 1) * 255
    assert (torch.from_numpy(small).float() - expected).abs().max() <= 0.51
    with Image.open(io.BytesIO(Previews(None, decoder).draw(latents, fps=16))) as preview:
        assert (preview.n_frames, preview.size) == (FRAMES, ((DECODED_SIDE + 8) // 2, 16))


def test_without_room_for_it_previews_are_of_latent_colours(decoder: TinyDecoder) -> None:
    latents = torch.randn(1, 16, 2, 8, 16, generator=torch.Generator().manual_seed(3))
    plain = Previews(OFFICIAL_LATENT_RGB, None).draw(latents, fps=16)

    def full(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("full")

    decoder.forward = full
    previews = Previews(OFFICIAL_LATENT_RGB, decoder)
    assert previews.draw(latents, fps=16) == plain
    del decoder.forward
    assert previews.draw(latents, fps=16) == plain  # it is not tried again

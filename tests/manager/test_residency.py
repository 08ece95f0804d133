"""What is where, to the byte, and in which order it is copied; on a device that counts."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from tests.manager.fake_mover import FakeMover
from tests.models.dit_kinds import KINDS, sample
from tests.models.randomise import randomise
from tests.tiny import DIT, UMT5, VAE
from wan_core.manager.planner import spread
from wan_core.manager.residency import ALIGNMENT, Residency, all_blocks, pieces
from wan_core.models.dit.config import DiTConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.umt5.model import build_encoder
from wan_core.models.vae.model import WanVAE

DEEP = DiTConfig(dim=48, ffn_dim=96, num_heads=4, num_layers=6, text_dim=32)
PLENTY = 2**40


def make(config: DiTConfig = DEEP) -> WanDiT:
    return randomise(WanDiT(config), 0).requires_grad_(False).eval()


def run(dit: nn.Module, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, 16, 2, 8, 8, generator=generator)
    with torch.inference_mode():
        return dit(latents, torch.tensor([500.0]), torch.randn(1, 7, 32, generator=generator))


def nbytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def slot(module: nn.Module) -> int:
    return sum(
        -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT for tensor in [*module.parameters(), *module.buffers()]
    )


@pytest.mark.parametrize("module", [make(), build_encoder(UMT5), WanVAE(VAE)], ids=["dit", "umt5", "vae"])
def test_whole_modules_come_and_go_to_the_byte(module: nn.Module) -> None:
    mover = FakeMover()
    residency = Residency(module, mover)
    before = {name: tensor for name, tensor in module.named_parameters()}
    residency.place()
    assert mover.allocated == residency.device_bytes == nbytes(module)
    assert all(tensor is not before[name] for name, tensor in module.named_parameters())
    residency.place()  # again: nothing moves
    assert mover.count("put") == len(before)
    residency.withdraw()
    gc.collect()
    assert mover.allocated == residency.device_bytes == 0
    assert all(tensor is before[name] for name, tensor in module.named_parameters())


@pytest.mark.parametrize("in_pieces", [False, True], ids=["blocks", "pieces"])
@pytest.mark.parametrize("pin_limit", [PLENTY, 0], ids=["pinned", "from file"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_streaming_changes_no_bit(count: int, pin_limit: int, in_pieces: bool) -> None:
    dit, mover = make(), FakeMover()
    expected = [run(dit, seed) for seed in (1, 2)]
    residency = Residency(dit, mover)
    residency.place(spread(count, 6), in_pieces, pin_limit)
    for seed, wanted in zip((1, 2), expected, strict=True):
        assert torch.equal(run(dit, seed), wanted)
    residency.withdraw()
    gc.collect()
    assert mover.allocated == mover.pinned == 0
    assert torch.equal(run(dit, 1), expected[0])


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_transformer_streams(kind: str) -> None:
    dit, mover = make(KINDS[kind]), FakeMover()
    latents, prompt, conditioning = sample(KINDS[kind])
    given = (latents, torch.tensor([500.0]), prompt, conditioning)
    with torch.inference_mode():
        expected = dit(*given)
        for in_pieces in (False, True):
            residency = Residency(dit, mover)
            residency.place(tuple(range(len(all_blocks(dit)))), in_pieces, PLENTY)
            assert torch.equal(dit(*given), expected)
            assert torch.equal(dit(*given), expected)
            residency.withdraw()


def test_bytes_on_the_device_while_blocks_stream() -> None:
    dit, mover = make(), FakeMover()
    block = dit.blocks[0]
    residency = Residency(dit, mover)
    residency.place((1, 3, 5), pin_limit=PLENTY)
    resident = nbytes(dit) - 3 * nbytes(block)
    assert mover.allocated == residency.device_bytes == resident + 2 * slot(block)
    assert mover.pinned == residency.pinned_bytes == 3 * slot(block)
    run(dit)
    assert mover.peak == mover.allocated == resident + 2 * slot(block)


def test_bytes_on_the_device_while_pieces_stream() -> None:
    dit, mover = make(), FakeMover()
    residency = Residency(dit, mover)
    residency.place(tuple(range(6)), True, PLENTY)
    block = dit.blocks[0]
    assert pieces(block) == [block.self_attn, block.norm3, block.cross_attn, block.ffn]
    streamed = sum(nbytes(piece) for piece in pieces(block))
    largest = max(slot(piece) for piece in pieces(block))
    assert nbytes(block) - streamed == block.modulation.nbytes
    assert mover.allocated == nbytes(dit) - 6 * streamed + 2 * largest


def test_each_block_is_sent_while_the_one_before_runs() -> None:
    dit, mover = make(), FakeMover()
    order: list[str] = []
    for number, block in enumerate(dit.blocks):
        block.register_forward_hook(lambda *_, number=number: order.append(f"ran {number}"))
    residency = Residency(dit, mover)
    residency.place(tuple(range(6)), pin_limit=PLENTY)
    homes = {id(memory): number for number, memory in enumerate(packed_of(residency))}
    send, wait = mover.send, mover.wait
    mover.send = lambda source, target: (order.append(f"send {homes[id(source)]}"), send(source, target))[1]
    mover.wait = lambda ticket: (order.append(f"wait {homes[id(ticket.source)]}"), wait(ticket))[1]
    run(dit)
    expected = []
    for number in range(6):  # the first was sent when the weights were placed
        expected += [f"wait {number}", f"send {(number + 1) % 6}", f"ran {number}"]
    assert order == expected
    order.clear()
    run(dit)
    assert order == expected


def packed_of(residency: Residency) -> list[Tensor]:
    """The RAM that the streamed blocks wait in."""
    return [unit.packed for unit in residency._stream._units]


def test_every_streamed_byte_is_copied_once_in_a_pass() -> None:
    dit, mover = make(), FakeMover()
    Residency(dit, mover).place((0, 2, 4), pin_limit=PLENTY)
    for _ in range(3):
        mover.log.clear()
        run(dit)
        sent = [size for what, size in mover.log if what == "send"]
        assert sent == [slot(dit.blocks[0])] * 3


def test_an_order_that_changes_costs_copies_and_no_bit() -> None:
    dit, mover = make(), FakeMover()
    expected = run(dit)
    Residency(dit, mover).place(tuple(range(6)), pin_limit=PLENTY)
    assert torch.equal(run(dit), expected)
    blocks = dit.blocks
    dit.blocks = nn.ModuleList(reversed(blocks))
    backwards = run(dit)
    run(dit)
    mover.log.clear()
    assert torch.equal(run(dit), backwards)  # learnt by now
    assert mover.count("send") == 6
    dit.blocks = blocks
    assert torch.equal(run(dit), expected)


def test_short_of_ram_only_staging_is_pinned() -> None:
    dit, mover = make(), FakeMover()
    size = slot(dit.blocks[0])
    residency = Residency(dit, mover)
    homes = [block.ffn[0].weight for block in dit.blocks]
    residency.place(tuple(range(6)), pin_limit=2 * size)
    assert mover.pinned == residency.pinned_bytes == (2 + 2) * size
    run(dit)
    assert mover.count("settle") > 0  # staging is not written over before its copy is done
    residency.withdraw()
    assert [block.ffn[0].weight is home for block, home in zip(dit.blocks, homes, strict=True)] == [
        False,
        False,
        *[True] * 4,
    ]


def test_what_was_packed_once_is_packed_for_good() -> None:
    dit, mover = make(), FakeMover()
    expected = run(dit)
    originals = [weakref.ref(block.ffn[0].weight) for block in dit.blocks]
    residency = Residency(dit, mover)
    residency.place(tuple(range(6)), pin_limit=PLENTY)
    assert all(original() is None for original in originals)  # no second copy in RAM
    addresses = [memory.data_ptr() for memory in packed_of(residency)]
    residency.withdraw()
    residency.place(tuple(range(6)), pin_limit=PLENTY)
    assert [memory.data_ptr() for memory in packed_of(residency)] == addresses
    assert torch.equal(run(dit), expected)


def test_memory_that_cannot_be_pinned_streams_all_the_same() -> None:
    dit, mover = make(), FakeMover(pinning=False)
    expected = run(dit)
    residency = Residency(dit, mover)
    residency.place(tuple(range(6)), pin_limit=PLENTY)
    assert torch.equal(run(dit), expected)
    assert residency.pinned_bytes == 0


def test_weights_are_cast_on_the_way_where_ram_holds_the_file_only() -> None:
    dit, mover = make(), FakeMover()

    def to_bf16(name: str) -> torch.dtype | None:
        return None if WanDiT.keep_in_fp32(name) else torch.bfloat16

    cast = make()
    for name, parameter in cast.named_parameters():
        parameter.data = parameter.data.to(to_bf16(name) or parameter.dtype)
    expected = run(cast)
    residency = Residency(dit, mover, to_bf16)
    residency.place()
    assert mover.allocated == nbytes(cast)
    assert torch.equal(run(dit), expected)
    residency.place((0, 2, 4))
    assert torch.equal(run(dit), expected)
    residency.withdraw()
    assert dit.blocks[0].ffn[0].weight.dtype == torch.float32


def test_out_of_memory_halfway_leaves_everything_in_ram() -> None:
    dit = make()
    expected = run(dit)
    mover = FakeMover(capacity=nbytes(dit) - 1)
    residency = Residency(dit, mover)
    with pytest.raises(torch.OutOfMemoryError):
        residency.place()
    gc.collect()
    assert not residency.on_device and mover.allocated == 0
    residency.place((0, 1, 2, 3, 4, 5), pin_limit=PLENTY)
    assert torch.equal(run(dit), expected)


def test_the_text_encoder_streams() -> None:
    encoder = randomise(build_encoder(UMT5), 3).requires_grad_(False).eval()
    ids = torch.tensor([[5, 9, 20, 1]])
    with torch.inference_mode():
        expected = encoder(input_ids=ids).last_hidden_state
        mover = FakeMover()
        residency = Residency(encoder, mover)
        for in_pieces in (False, True):
            residency.place((0, 1), in_pieces, PLENTY)
            assert torch.equal(encoder(input_ids=ids).last_hidden_state, expected)
    assert encoder.encoder.embed_tokens.weight is encoder.shared.weight


def test_buffers_stream_like_parameters() -> None:
    class Packed(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            self.register_buffer(
                "packed", torch.randint(-9, 9, (5, 7), dtype=torch.int8, generator=generator)
            )
            self.register_buffer("scale", torch.rand(5, 1, generator=generator), persistent=False)
            self.register_buffer("nothing", None)

        def forward(self, x: Tensor) -> Tensor:
            return x + (self.packed * self.scale).sum()

    model = nn.Module()
    model.blocks = nn.ModuleList(Packed(seed) for seed in range(4))
    mover = FakeMover()
    x = torch.zeros(3)
    expected = [block(x) for block in model.blocks]
    Residency(model, mover).place((0, 1, 2, 3), pin_limit=PLENTY)
    for _ in range(2):
        assert all(
            torch.equal(block(x), wanted) for block, wanted in zip(model.blocks, expected, strict=True)
        )
    assert mover.allocated == 2 * 2 * ALIGNMENT


def test_a_tensor_that_was_put_in_a_weights_place_is_kept() -> None:
    dit, mover = make(DIT), FakeMover()
    residency = Residency(dit, mover)
    residency.place()
    other = nn.Parameter(torch.zeros_like(dit.patch_embedding.weight), requires_grad=False)
    dit.patch_embedding.weight = other
    residency.withdraw()
    assert dit.patch_embedding.weight is other


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("pin_limit", [PLENTY, 0], ids=["pinned", "from file"])
def test_streaming_changes_no_bit_on_a_gpu(pin_limit: int) -> None:
    from wan_core.manager.movers import make_mover

    device = torch.device("cuda")
    dit = make()

    def on_gpu() -> Tensor:
        generator = torch.Generator().manual_seed(1)
        latents = torch.randn(1, 16, 2, 8, 8, generator=generator).to(device)
        prompt = torch.randn(1, 7, 32, generator=generator).to(device)
        with torch.inference_mode():
            return dit(latents, torch.tensor([500.0], device=device), prompt).cpu()

    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    residency = Residency(dit, make_mover(device))
    residency.place()
    expected = on_gpu()
    for streamed in ((1, 3, 5), tuple(range(6))):
        residency.place(streamed, pin_limit=pin_limit)
        for _ in range(3):
            assert torch.equal(on_gpu(), expected)
    residency.withdraw()
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() - before < 2**20

"""What is told about a LoRA before it is used: family, width, words, picture; and presets for few steps."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from wan_core.lora.card import MAX_PREVIEW_BYTES, read_card, read_scaling
from wan_core.lora.families import foreign_family
from wan_core.lora.presets import PRESETS, preset_for
from wan_core.manager.lora_cards import lora_card
from wan_core.schedulers import make_scheduler
from wan_core.schema import GenerationRequest, Settings, WeightsError

FAMILIES = {
    "SDXL": [
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_k.lora_down.weight",
        "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
    ],
    "Stable Diffusion": [
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k.lora_down.weight",
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
    ],
    "Flux": [
        "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
        "lora_unet_single_blocks_0_linear1.alpha",
    ],
    "HunyuanVideo": ["lora_unet_double_blocks_0_img_mlp_fc1.lora_down.weight"],
    "Stable Diffusion 3": ["diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight"],
    "Stable Diffusion 3 or Qwen-Image": ["transformer.transformer_blocks.0.attn.add_q_proj.lora_A.weight"],
    "Qwen-Image": [
        "transformer_blocks.0.img_mod.1.lora_A.weight",
        "transformer_blocks.0.attn.to_q.lora_A.weight",
    ],
    "LTX-Video or CogVideoX": ["transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"],
    "Lumina or Z-Image": ["diffusion_model.noise_refiner.0.attention.qkv.lora_A.weight"],
}
EXTRA = {
    "SDXL": ["lora_unet_input_blocks_4_1_transformer_blocks_2_attn1_to_k.lora_down.weight"],
    "Flux": ["transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight"],
    "HunyuanVideo": [
        "double_blocks.19.img_attn_qkv.lora_A.weight",
        "double_blocks.0.img_attn_qkv.lora_A.weight",
    ],
}
WAN = [
    ["diffusion_model.blocks.0.self_attn.q.lora_down.weight"],
    ["lora_unet_blocks_0_cross_attn_k_img.lora_down.weight"],
    [
        "transformer.blocks.0.attn1.to_q.lora_A.weight",
        "transformer.condition_embedder.time_proj.lora_A.weight",
    ],
    ["vace_blocks.0.self_attn.q.lora_A.weight"],
    ["blocks.0.ffn.2.lora_A.weight", "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"],
    [
        "transformer.blocks.0.attn2.to_out.0.lora_A.weight",
        "text_encoder_2.text_model.encoder.x.lora_A.weight",
    ],
]


@pytest.mark.parametrize(
    ("family", "names"), [*FAMILIES.items(), *EXTRA.items(), *((None, names) for names in WAN)]
)
def test_the_family_is_told_by_the_names(family: str | None, names: list[str]) -> None:
    assert foreign_family(names) == family


def picture(format: str = "JPEG") -> str:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(content, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def test_a_card_says_what_the_file_says() -> None:
    shapes = {
        "diffusion_model.blocks.0.self_attn.q.lora_down.weight": (16, 1536),
        "diffusion_model.blocks.1.self_attn.q.lora_down.weight": (16, 1536),
        "diffusion_model.blocks.1.ffn.2.lora_down.weight": (32, 8960),
    }
    told = {
        "modelspec.title": " Paper cut ",
        "modelspec.trigger_phrase": "papercut, folded  , papercut",
        "modelspec.architecture": "wan2.1-t2v",
        "modelspec.thumbnail": picture(),
        "ss_tag_frequency": json.dumps({"1_x": {"cat": 3}}),
    }
    card = read_card(shapes, told)
    assert (card.title, card.words, card.tags) == ("Paper cut", ("papercut", "folded"), ())
    assert (card.base, card.family, card.width, card.rank) == ("wan2.1-t2v", None, 1536, 16)
    assert card.preview == picture()


def test_without_words_the_most_frequent_captions_are_told() -> None:
    counts = {"1_a": {"cat": 3, "dog": 1}, "2_b": {"cat": 1, "bird": 2, "odd": "x"}, "broken": 3}
    card = read_card({}, {"ss_tag_frequency": json.dumps(counts), "ss_output_name": "pets"})
    assert (card.title, card.words, card.tags) == ("pets", (), ("cat", "bird", "dog"))


@pytest.mark.parametrize("text", ['["one", " two ", 3]', "one, two"])
def test_words_are_a_list_or_a_line(text: str) -> None:
    assert read_card({}, {"trigger_words": text}).words == ("one", "two")


@pytest.mark.parametrize(
    "thumbnail",
    [
        "https://example.org/a.jpg",
        "javascript:alert(1)",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,PHNjcmlwdD4=",
        'data:image/png;base64,AAAA" onerror="x',
        f"data:image/jpeg;base64,/9j/{base64.b64encode(bytes(MAX_PREVIEW_BYTES)).decode()}",
    ],
)
def test_only_small_pictures_are_shown(thumbnail: str) -> None:
    assert read_card({}, {"modelspec.thumbnail": thumbnail}).preview == ""


def test_texts_are_cut_short() -> None:
    card = read_card(
        {}, {"modelspec.title": "x" * 9999, "trigger_words": ", ".join(f"{n}" * 500 for n in range(99))}
    )
    assert len(card.title) == 300
    assert (len(card.words), max(map(len, card.words))) == (12, 100)
    deep = "[" * 100_000
    assert read_card({}, {"trigger_words": deep, "ss_tag_frequency": deep}).tags == ()


def test_diffusers_metadata_say_the_alpha() -> None:
    values = {"transformer.lora_alpha": 8, "transformer.r": 4, "transformer.use_rslora": True}
    scaling = read_scaling({"lora_adapter_metadata": json.dumps(values)})
    assert scaling.of("transformer.blocks.0.attn1.to_q", 16) == 2.0
    assert read_scaling({}).of("x", 16) == 1.0
    assert read_scaling({"lora_adapter_metadata": "{"}, '{"lora_alpha": "8"}').of("x", 16) == 1.0
    assert read_scaling({}, '{"lora_alpha": 8}').of("x", 16) == 0.5


def test_a_file_is_read_without_its_tensors(settings: Settings) -> None:
    settings.loras_dir.mkdir(parents=True)
    path = settings.loras_dir / "a.safetensors"
    save_file({"blocks.0.self_attn.q.lora_A.weight": torch.zeros(4, 48)}, path, {"trigger_words": "red"})
    assert (lora_card(settings, "a.safetensors").words, lora_card(settings, "a.safetensors").width) == (
        ("red",),
        48,
    )
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"The LoRA a.safetensors cannot be used: .* is cut short"):
        lora_card(settings, "a.safetensors")


def test_lightx2vs_levels_are_those_of_lcm_at_shift_5() -> None:
    """Its list [1000, 750, 500, 250] picks from the shifted table: 1, 15/16, 5/6, 5/8."""
    row = PRESETS["lightx2v"]
    run = make_scheduler(row.scheduler, row.num_inference_steps, row.shift)
    assert run.sigmas == pytest.approx([1, 15 / 16, 5 / 6, 5 / 8, 0], abs=1e-12)
    assert run.timesteps == [1000, 937, 833, 625]
    latents, velocity = torch.full((1, 1, 1, 4, 4), 2.0), torch.full((1, 1, 1, 4, 4), 0.5)
    moved = make_scheduler(row.scheduler, 4, 5.0, torch.Generator().manual_seed(3)).step(velocity, latents)
    fresh = torch.empty(1, 1, 1, 4, 4).normal_(generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(moved, 1.5 / 16 + 15 / 16 * fresh)  # predicted, and noised anew


def test_causvids_small_models_levels_are_even() -> None:
    row = PRESETS["causvid-1.3b"]
    assert make_scheduler(row.scheduler, row.num_inference_steps, row.shift).timesteps == [
        1000,
        750,
        500,
        250,
    ]


@pytest.mark.parametrize(
    ("file", "preset"),
    [
        ("Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors", "lightx2v"),
        ("Wan21_CausVid_14B_T2V_lora_rank32_v2.safetensors", "causvid"),
        ("Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors", "causvid-1.3b"),
        ("few/Wan21_AccVid_T2V_14B_lora_rank32_fp16.safetensors", "accvideo"),
        ("papercut.safetensors", None),
    ],
)
def test_a_preset_is_found_by_the_files_name(file: str, preset: str | None) -> None:
    assert preset_for(file) == preset


@pytest.mark.parametrize("key", PRESETS)
def test_a_preset_is_a_request(key: str) -> None:
    row = PRESETS[key]
    names = ("num_inference_steps", "guidance_scale", "shift", "scheduler")
    request = GenerationRequest.parse({name: getattr(row, name) for name in names})
    assert request.guidance_scale == 1.0


def test_the_web_process_reads_cards_without_torch() -> None:
    code = "import sys, wan_core.manager.lora_cards; assert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)

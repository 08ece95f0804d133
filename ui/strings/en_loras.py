"""What the page says about LoRAs in English."""

from ui.strings.loras import LoraTexts

LORA_TEXTS = LoraTexts(
    fold="LoRA",
    add="Add a LoRA",
    remove="Remove",
    choose="Choose a file",
    absent="not on this machine",
    strength="Strength",
    strength_help="From -2 to 2; several, separated by commas, are for one step each.",
    blocks="Blocks",
    blocks_help="Empty is all; or numbers, ranges and parts: 0-9, 20, self_attn, cross_attn, ffn, other.",
    merge="Merge into the weights",
    merge_help="Steps are a little faster; the model is read again for the next video without it.",
    more="More",
    words="Trigger words, a click adds them to the prompt:",
    tags="Often in its captions:",
    preset="Set up for {title}",
    rank="rank {rank}",
    none_here="This studio has no LoRAs yet.",
    none_yet="Put .safetensors files into {folder}, or add a folder in the settings.",
    count_one="1 LoRA",
    count_many="{count} LoRAs",
    of_parts="{fitting} of {total}",
    parts_fit="{loras}: {counts} parts fit",
)

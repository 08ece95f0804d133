"""What the page says about LoRAs in Chinese."""

from ui.strings.loras import LoraTexts

LORA_TEXTS = LoraTexts(
    fold="LoRA 模型",
    add="添加 LoRA",
    remove="移除",
    choose="选择文件",
    absent="不在本机",
    strength="强度",
    strength_help="从 -2 到 2；用逗号分隔多个值时，每步用一个。",
    blocks="块",
    blocks_help="留空为全部；或写编号、范围和部分：0-9, 20, self_attn, cross_attn, ffn, other。",
    merge="合并到权重",
    merge_help="每步稍快；下一个不用它的视频会重新读取模型。",
    more="更多",
    words="触发词，点击即加入提示词：",
    tags="训练文字中常见：",
    preset="按 {title} 设置",
    rank="秩 {rank}",
    none_here="本机还没有 LoRA。",
    none_yet="把 .safetensors 文件放入 {folder}，或在设置中添加文件夹。",
    count_one="1 个 LoRA",
    count_many="{count} 个 LoRA",
    of_parts="{fitting}/{total}",
    parts_fit="{loras}：{counts} 个部分适用",
)

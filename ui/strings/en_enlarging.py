"""What the page says about enlarging in English."""

from ui.strings.enlarging import EnlargingTexts

ENLARGING_TEXTS = EnlargingTexts(
    off="Off",
    plain="{factor}× by Lanczos",
    learnt="{factor}× by {name}",
    install="For learnt upscalers install spandrel: {command}",
    no_files="Put learnt upscalers (.safetensors or .pth) into {folder}.",
)

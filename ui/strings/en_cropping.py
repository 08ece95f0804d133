"""What the frame that crops an input says in English."""

from ui.strings.cropping import CroppingTexts

CROPPING_TEXTS = CroppingTexts(
    crop="Crop",
    window="Crop of {name}",
    window_help="Drag the frame or a corner. Keys: arrows move it, + and − zoom, with Shift in larger steps.",
    at="{percent} % of the picture, from {left} %, {top} %",
    size="{width}×{height} of {whole_width}×{whole_height}",
    whole="Undo crop",
)

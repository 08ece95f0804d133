"""What the frame that crops an input says in Chinese."""

from ui.strings.cropping import CroppingTexts

CROPPING_TEXTS = CroppingTexts(
    crop="裁剪",
    window="{name}的裁剪框",
    window_help="拖动边框或一角。按键：方向键移动，+ 和 − 缩放，按住 Shift 步幅更大。",
    at="画面的 {percent} %，起点 {left} %，{top} %",
    size="{whole_width}×{whole_height} 中的 {width}×{height}",
    whole="撤销裁剪",
)

"""What the examples with files are called, in Chinese; their English titles are in ``assets/examples``."""

EXAMPLES = {
    "A square at night": "夜里的方块",
    "A star in the sky": "天空中的星星",
    "A circle on grey": "灰底上的圆",
    "Across the night": "穿过夜空",
    "Up into the sky": "升上天空",
    "Make it a red circle": "变成红色的圆",
    "Make it green": "变成绿色",
    "Follow its outlines": "沿着轮廓",
    "Replace it in a region": "替换一个区域",
    "Fill in between two frames": "补全两帧之间",
    "Bring a triangle to life": "让三角形动起来",
}

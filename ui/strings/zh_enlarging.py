# ruff: noqa: E501 - each sentence beside its translation
"""What the page and the engine say about enlarging in Chinese."""

from ui.strings.enlarging import EnlargingTexts

ENLARGING_TEXTS = EnlargingTexts(
    off="关闭",
    plain="{factor}×，Lanczos",
    learnt="{factor}×，用 {name}",
    install="要用学习型放大模型，请安装 spandrel：{command}",
    no_files="请把学习型放大模型（.safetensors 或 .pth）放入 {folder}。",
)

UPSCALING = {
    "{} is not in any folder of upscalers": "{0} 不在任何放大模型文件夹中",
    "Put the file into the upscalers folder of the studio's home, or leave the upscaler out.": "请把文件放入本程序主文件夹中的 upscalers 文件夹，或不用放大模型。",
    "the library spandrel, which runs upscalers, is not installed": "运行放大模型的库 spandrel 未安装",
    "Run {} and start the studio again, or leave the upscaler out.": "请运行 {0} 并重新启动本程序，或不用放大模型。",
    "the library spandrel, which runs upscalers, cannot be used ({})": "运行放大模型的库 spandrel 无法使用（{0}）",
    "Run {}, or leave the upscaler out.": "请运行 {0}，或不用放大模型。",
    "{} is no name of an upscaler; give that of a .safetensors or .pth file in the upscalers folder": "{0} 不是放大模型的文件名；请填写放大模型文件夹中 .safetensors 或 .pth 文件的名字",
    "{} is no number": "{0} 不是数字",
    "Write how many times larger, such as 2.": "请写放大的倍数，例如 2。",
    "The upscaler {} cannot be used: {}": "放大模型 {0} 无法使用：{1}",
    "{} is no upscaler that spandrel knows; choose another, such as a Real-ESRGAN one.": "{0} 不是 spandrel 认识的放大模型；请另选一个，例如 Real-ESRGAN 的。",
    "{} is damaged or no upscaler ({}); choose another.": "{0} 已损坏或不是放大模型（{1}）；请另选一个。",
    "{} does not make colour pictures larger; choose an upscaler of photos or films.": "{0} 不能放大彩色画面；请选用照片或影片的放大模型。",
    "{} keeps {} in a way that no upscaler does; choose another.": "{0} 存放 {1} 的方式与放大模型不符；请另选一个。",
    "{} has {} in a size that no upscaler has; do not use it.": "{0} 中 {1} 的大小与放大模型不符；请勿使用。",
    "The upscaler {} has no room for a tile of {} pixels; choose a smaller one.": "放大模型 {0} 的内存不足以处理 {1} 像素的图块；请选用更小的模型。",
    "The upscaler {} cannot take frames of {} ({}); choose another.": "放大模型 {0} 不能处理 {1} 的画面（{2}）；请另选一个。",
    "The upscaler {} made numbers that are no picture (NaN); choose another.": "放大模型 {0} 得出的数值不成画面（NaN）；请另选一个。",
    "The upscaler {} overflows in half precision; it ran in float32.": "放大模型 {0} 在半精度下溢出，已改用 float32 运行。",
    "The upscaler drew the frames anew at their own size; set Enlarge to 2 for a larger picture.": "放大模型按原大小重绘了画面；若要更大的画面，请把“放大”设为 2。",
    "{} needs disk space in {}: {}.": "{0}需要 {1} 中的磁盘空间：{2}。",
    "Enlarging": "放大画面",
    "Playing backwards": "倒放",
    "upscaler": "放大模型",
}

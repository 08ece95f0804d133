# ruff: noqa: E501 - each sentence beside its translation
"""What is said in English of media, files and latents, said in Chinese; see ``ui.strings.sentences``."""

_POSES = {
    "The camera poses cannot be read as text; write {} on each line.": "无法把相机位姿读作文本；请每行写 {0}。",
    "The file holds no camera poses; write {} on each line.": "文件中没有相机位姿；请每行写 {0}。",
    "Line {} of the camera poses holds more than numbers; write {}.": "相机位姿第 {0} 行除数字外还有其他内容；请写 {1}。",
    "Line {} of the camera poses has {} numbers, not {}; write {}.": "相机位姿第 {0} 行有 {1} 个数，而不是 {2}；请写 {3}。",
    "Line {} of the camera poses has a number that is not finite; correct it.": "相机位姿第 {0} 行有一个数不是有限的；请改正。",
    "Line {} of the camera poses has the focal lengths {} and {}; they must be above 0, such as {} and {}.": "相机位姿第 {0} 行的焦距为 {1} 和 {2}；须大于 0，例如 {3} 和 {4}。",
    "Line {} of the camera poses has a rotation that cannot be undone; the first three columns of its matrix must be a rotation, such as 1 0 0, 0 1 0, 0 0 1.": "相机位姿第 {0} 行的旋转不可逆；其矩阵的前三列须为旋转，例如 1 0 0, 0 1 0, 0 0 1。",
    "{} is no picture or video ({}), and as a text of camera poses it cannot be used: {}": "{0} 不是图片或视频（{1}），作为相机位姿的文本也无法使用：{2}",
}

_READ = {
    "its end": "结尾",
    "a picture": "图片",
    "a text": "文本",
    "{} is {}; a video is needed.": "{0} 是{1}；这里需要视频。",
    "{} takes too long to decode; cut it or convert it to H.264 MP4.": "{0} 解码太久；请剪短，或转换为 H.264 MP4。",
    "{} takes too long to decode; save it anew as PNG or JPEG.": "{0} 解码太久；请另存为 PNG 或 JPEG。",
    "{} holds no video that can be read; use {}.": "{0} 中没有可读取的视频；请使用 {1}。",
    "{} is a picture; only a video can be exported as one.": "{0} 是图片；只有视频才能这样导出。",
    "{} has no frames; choose another file.": "{0} 没有任何帧；请另选一个文件。",
    "{} has no frames; nothing was written.": "{0} 没有任何帧；什么也没有写入。",
    "{} in {} is too large; choose another file.": "{1} 中的 {0} 太大；请另选一个文件。",
    "{} is too large; choose another file.": "{0} 太大；请另选一个文件。",
    "{} is a damaged ZIP; choose another copy of it.": "{0} 是损坏的 ZIP；请换一份。",
}

_WRITTEN = {
    "The folder {} cannot be written to ({}); choose another or free some space.": "无法写入文件夹 {0}（{1}）；请另选一个或腾出空间。",
    "No file can be made in {} ({}); free some space, then decode the saved latents again.": "无法在 {0} 中新建文件（{1}）；请腾出空间，然后重新解码已保存的潜变量。",
    "{} could not be written: {}. Check the free space, then decode the saved latents again.": "无法写入 {0}：{1}。请检查剩余空间，然后重新解码已保存的潜变量。",
    "{} cannot be written to ({}); free some space.": "无法写入 {0}（{1}）；请腾出空间。",
    "a video of {}x{} cannot be written; H.264 needs even sides.": "无法写入 {0}x{1} 的视频；H.264 要求边长为偶数。",
    "ffmpeg could not draw the in-between frames; switch interpolation off.": "ffmpeg 无法绘制中间帧；请关闭插帧。",
    "The input {} has {} MiB and was not put into the file; together they may have {}.": "输入文件 {0} 有 {1} MiB，没有写入文件；合计最多 {2}。",
    "The settings were not written beside it: {}": "没有在旁边写入设置：{0}",
    "It has no poster: {}": "没有封面图：{0}",
    "The video has {} frames a second already; none were added to reach {}.": "视频已有每秒 {0} 帧；没有为达到 {1} 而插帧。",
    "The latents {} could not be saved ({}).": "无法保存潜变量 {0}（{1}）。",
    "{} holds no latents of this studio; give a file of its latents folder.": "{0} 中没有本程序的潜变量；请给出其 latents 文件夹中的文件。",
    "{} is no table of preview colours; remove it.": "{0} 不是预览颜色表；请删除它。",
    "{} is no table of preview colours for {} latent channels; remove it.": "{0} 不是适用于 {1} 个潜变量通道的预览颜色表；请删除它。",
    "The prompt has {} tokens; the model sees the first {}.": "提示词有 {0} 个词元；模型只看前 {1} 个。",
    "Drawing the {}": "正在绘制{0}",
    "Asking the hub about {}": "正在向 Hub 查询 {0}",
    "depth": "深度",
    "pose": "姿态",
    "flow": "光流",
}

MEDIA = {**_POSES, **_READ, **_WRITTEN}

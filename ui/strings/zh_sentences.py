# ruff: noqa: E501 - each sentence beside its translation
"""What the engine words in English, said in Chinese; see ``ui.strings.sentences`` for how they are written."""

from ui.strings.zh_arriving import ARRIVING
from ui.strings.zh_enhancing import ENHANCING
from ui.strings.zh_enlarging import UPSCALING
from ui.strings.zh_examples import EXAMPLES
from ui.strings.zh_guidance import GUIDANCE_SENTENCES
from ui.strings.zh_media import MEDIA
from ui.strings.zh_names import MODEL_TITLES
from ui.strings.zh_public import PUBLIC
from ui.strings.zh_queue import QUEUE
from ui.strings.zh_running import RUNNING
from ui.strings.zh_weights import WEIGHTS
from wan_core.catalog import MODELS

_GIVEN = {
    "{} is gone; choose the file again.": "{0} 已不存在；请重新选择文件。",
    "Write whole numbers, such as 0, -1.": "请写整数，例如 0, -1。",
    "{} is no list of frames": "{0} 不是帧的列表",
    "Choose a LoRA for this model, or the model that it was made for.": "请选择适用于此模型的 LoRA，或它对应的模型。",
    "Choose another.": "请另选一个。",
    "Write a number, such as 0.8, or one for each step.": "请写一个数，例如 0.8，或每步一个数。",
    "{} cannot be used": "{0} 无法使用",
    "{} fits no part of {}": "{0} 不适用于 {1} 的任何部分",
    "{} looks like a LoRA for {}, not for Wan": "{0} 看起来是 {1} 的 LoRA，而不是 Wan 的",
    "{} is for a transformer of width {}, and that of {} is {}": (
        "{0} 适用于宽度为 {1} 的 Transformer，而 {2} 的宽度是 {3}"
    ),
    "{} is no strength": "{0} 不是有效的强度",
    "{} is not in any folder of LoRAs": "{0} 不在任何 LoRA 文件夹中",
    "Choose one of the list.": "请从列表中选择。",
    "Put it into {}.": "请把它放入 {0}。",
    "{} is refused": "{0} 不被接受",
}

_CHECKED = {
    "1 frame has no first and last": "只有 1 帧，没有首尾之分",
    "Choose one of {}.": "请从中选择：{0}。",
    "Describe what should be seen.": "请描述画面中应出现的内容。",
    "Give one: {}": "请提供：{0}",
    "Give up to {}.": "最多提供 {0} 个。",
    "It does {}.": "它能做：{0}。",
    "It goes up to {}.": "最多到 {0}。",
    "It goes up to {}, or further with Long video.": "最多到 {0}，用“长视频”可以更长。",
    "a window of {} frames is longer than {} can make": "{0} 帧的窗口超过了 {1} 能生成的长度",
    "what goes on from another video cannot be a loop": "接在另一视频之后的视频不能循环",
    "Try static, or join nothing.": "请试 static，或不续接。",
    "Leave it out, or say 1.": "请不填，或设为 1。",
    "Leave it out{}.": "请不填{0}。",
    "Leave it out.": "请不填。",
    "Try 1.": "请试 1。",
    "Try 5.": "请试 5。",
    "Try {} or leave it empty.": "请试 {0}，或留空。",
    "Try {} or {}.": "请试 {0} 或 {1}。",
    "the prompt is empty": "提示词为空",
    "{} does not do {}": "{0} 不能做 {1}",
    "{} does not take it for this task": "{0} 在此任务中不使用它",
    "{} frames are no single picture": "{0} 帧不是单张图片",
    "{} is longer than {} can make": "{0} 超过了 {1} 能生成的长度",
    "{} is not 4n+1": "{0} 不是 4n+1",
    "{} is not a model of this studio": "{0} 不是本程序的模型",
    "{} is not a multiple of {}": "{0} 不是 {1} 的倍数",
    "{} is not after the beginning at {}": "{0} 不在起点 {1} 之后",
    "{} needs it and it is missing": "{0} 需要它，但没有提供",
    "{} pictures are more than {} can follow": "{0} 张图片超过了 {1} 能参考的数量",
    "{} s is not after the beginning at {} s": "{0} 秒不在起点 {1} 秒之后",
    "Choose none.": "请选“无”。",
    "Give a video, a picture or references.": "请提供视频、图片或参考图。",
    "Give a video.": "请提供视频。",
    "Give it.": "请提供。",
    "Give one number from 1 to {}.": "请给出 1 到 {0} 之间的一个数。",
    "Give the same video for both, and no end of the part.": "请为两者提供同一视频，且不设终点。",
    "Leave one of the two out.": "请去掉两者之一。",
    "Make one of its parts more than 0.": "请使其中一边大于 0。",
    "Name frames from 0 to {}.": "请写 0 到 {0} 之间的帧。",
    "Try 0.25, 0.25, 0.75, 0.75.": "请试 0.25, 0.25, 0.75, 0.75。",
    "a mask is also built from {}": "另外还从 {0} 构建了遮罩",
    "it is not the video that is extended at its end": "它不是在末尾续接的那个视频",
    "nothing is added on any side": "没有在任何一边添加",
    "nothing is given that could steer": "没有提供可用来引导的内容",
    "the mask {} does not use it": "遮罩方式 {0} 不使用它",
    "the mask {} needs it and it is missing": "遮罩方式 {0} 需要它，但没有提供",
    "{} is not given, so no part of it can be used": "没有提供 {0}，无法使用它的一部分",
    "Give {}, or leave its part out.": "请提供 {0}，或去掉它的裁剪。",
    "a part of the video cannot be joined behind all of it": "视频的一部分不能接在整个视频之后",
    "Leave out the part of the video.": "请去掉视频的裁剪。",
    "the part of {} has {}x{} pixels": "{0} 的裁剪部分为 {1}x{2} 像素",
    "Choose one of at least {}x{}.": "请选择至少 {0}x{1} 的部分。",
    "Choose one with sides of at most {} to 1.": "请选择边长比不超过 {0}:1 的部分。",
    "there is no frame {} among {}": "{1} 帧中没有第 {0} 帧",
    "there is no video that it could be for": "没有它可以对应的视频",
    "what is made before a video cannot be joined behind it": "在视频之前生成的内容不能接在其后",
    "{} has no video to be drawn from where {} makes something new": "{1} 生成新内容时，{0} 没有可提取的视频",
    "{} is no box of left, top, right, bottom inside the picture": "{0} 不是画面内由左、上、右、下组成的方框",
    "{} is no count of frames, less than {}, that are taken over": "{0} 不是小于 {1} 的沿用帧数",
    "Ask for 1 to {}; more can be added while these run.": "请要求 1 到 {0} 个；运行时可以再加。",
    "{} videos were asked for at once": "一次要求了 {0} 个视频",
    "Cancel it, then delete it once it has stopped.": "请先取消，停止后再删除。",
    "{} is still running": "{0} 仍在运行",
    "Choose MP4.": "请选择 MP4。",
    "Choose one of auto, {}.": "请选择 auto 或：{0}。",
    "Ask for {} frames, or give a pose for every frame.": "请要求 {0} 帧，或为每帧提供一个位姿。",
    "the file has {} poses, fewer than the {} frames of the video": "文件有 {0} 个位姿，少于视频的 {1} 帧",
    "Begin earlier.": "请从更早处开始。",
    "Go on from a video of {} to {}, or leave it out.": "请续接 {0} 到 {1} 的视频，或不填。",
    "Go on from a video that this studio made, or leave it out.": "请续接本程序生成的视频，或不填。",
    "it has {} frames a second": "它每秒 {0} 帧",
    "its size {}x{} is not in multiples of {}": "它的尺寸 {0}x{1} 不是 {2} 的倍数",
    "{} s is behind the end of the video ({} s)": "{0} 秒在视频结尾（{1} 秒）之后",
}

_MEDIA = {
    "The input {} is gone; choose the file again.": "输入文件 {0} 已不存在；请重新选择。",
    "{} could not be kept ({}); free some space or choose another file.": (
        "无法保存 {0}（{1}）；请腾出空间或选择其他文件。"
    ),
    "{} has {} MiB; the most is {}.": "{0} 有 {1} MiB；最多 {2}。",
    "No frame of {} can be decoded there; choose another part or file.": (
        "{0} 的该处没有可解码的帧；请选择其他部分或文件。"
    ),
    "{} has more than {} frames; cut it.": "{0} 超过 {1} 帧；请剪短。",
    "{} is a damaged picture; choose another copy of it.": "{0} 是损坏的图片；请换一份。",
    "{} is a picture; a video is needed.": "{0} 是图片；这里需要视频。",
    "{} is a text; a picture or video is needed.": "{0} 是文本；这里需要图片或视频。",
    "{} is a {}; a picture is needed.": "{0} 是 {1}；这里需要图片。",
    "{} is damaged, or its kind of coding is not known; convert it to H.264 MP4.": (
        "{0} 已损坏，或编码未知；请转换为 H.264 MP4。"
    ),
    "{} is damaged; choose another copy of it.": "{0} 已损坏；请换一份。",
    "{} is too long at {}x{}; cut it to {} frames.": "{0} 在 {1}x{2} 下太长；请剪到 {3} 帧。",
    "{} is {} s long and has nothing from {} s to {}; choose another part.": (
        "{0} 长 {1} 秒，{2} 秒到 {3} 之间没有内容；请选择其他部分。"
    ),
    "{} is {}x{} pixels; choose one of at least {}x{}.": "{0} 为 {1}x{2} 像素；请选择至少 {3}x{4} 的。",
    "{} is {}x{} pixels; crop it to sides of at most {} to 1.": (
        "{0} 为 {1}x{2} 像素；请裁切到边长比不超过 {3}:1。"
    ),
    "{} is {}x{} pixels; make it smaller, to at most {} megapixels.": (
        "{0} 为 {1}x{2} 像素；请缩小到至多 {3} 百万像素。"
    ),
    "{} cannot be opened ({}); check that it exists.": "无法打开 {0}（{1}）；请检查它是否存在。",
    "{} cannot be opened; check that it exists.": "无法打开 {0}；请检查它是否存在。",
    "{} is a HEIC picture, which cannot be read; save it as JPEG or PNG.": (
        "{0} 是 HEIC 图片，无法读取；请另存为 JPEG 或 PNG。"
    ),
    "{} is empty; choose another file.": "{0} 是空文件；请另选一个。",
    "{} is no picture or video of a known kind; use {}.": "{0} 不是已知种类的图片或视频；请使用 {1}。",
    "{} came out empty; the disk may be full.": "{0} 写出来是空的；磁盘可能已满。",
    "{} could not be written ({}).": "无法写入 {0}（{1}）。",
    "{} holds no settings of this studio; it was made without them.": "{0} 中没有本程序的设置；生成时没有写入。",
}

_FAILED = {
    "Every frame came out in one colour; try another seed, more steps or a guidance scale near the model's "
    "default.": "每一帧都只有一种颜色；请换种子、增加步数，或把引导强度调到模型默认值附近。",
    "Frame {} of {} decoded to numbers that are no picture (NaN); try precision fp32.": (
        "第 {0} 帧（共 {1} 帧）解码出的数值不是画面（NaN）；请试精度 fp32。"
    ),
    "Step {} of {} produced numbers that are no picture (NaN); try precision fp32 or bf16, or a lower guidance "
    "scale.": "第 {0} 步（共 {1} 步）产生的数值不是画面（NaN）；请试精度 fp32 或 bf16，或降低引导强度。",
    "The VAE encoded a frame to NaN; try precision fp32.": "VAE 把一帧编码成了 NaN；请试精度 fp32。",
    "The text encoder produced NaN; try precision bf16 or fp32.": "文本编码器产生了 NaN；请试精度 bf16 或 fp32。",
    "The image encoder produced NaN; try precision fp32.": "图像编码器产生了 NaN；请试精度 fp32。",
    "Memory ran out while decoding, in the smallest tiles too; the finished latents are kept, so close other "
    "programs and decode again.": (
        "解码时内存不足，用最小的分块也不够；已完成的潜变量已保留，请关闭其他程序后重新解码。"
    ),
    "The machine ran out of memory with no model loaded; close other programs or give smaller files.": (
        "未加载模型时本机内存已不足；请关闭其他程序或提供更小的文件。"
    ),
    "{} is not on this machine and the studio is offline; go online, or copy the official files to {}.": (
        "{0} 不在本机，且本程序处于离线状态；请联网，或把官方文件复制到 {1}。"
    ),
    "{} is no longer in any of the model folders; put it back, or choose another model.": (
        "{0} 已不在任何模型文件夹中；请放回，或选择其他模型。"
    ),
}

_KEPT = {
    "Choose another file.": "请选择其他文件。",
    "Choose one of those there are: {}.": "请从已有的中选择：{0}。",
    "Delete one first.": "请先删除一个。",
    "Look for wildcard files that name themselves or each other.": "请查看是否有互相或自我引用的通配符文件。",
    "Make the video again.": "请重新生成视频。",
    "Put {}.txt into the folder {} of the studio, with an option in each line.": (
        "请把 {0}.txt 放入本程序的文件夹 {1}，每行一个选项。"
    ),
    "Save it again as UTF-8.": "请以 UTF-8 重新保存。",
    "Save it again.": "请重新保存。",
    "Shorten its texts.": "请缩短其中的文字。",
    "Take up to 60 letters, digits and spaces, beginning with a letter or a digit.": (
        "请用至多 60 个字母、数字和空格，以字母或数字开头。"
    ),
    "There are: {}.": "现有：{0}。",
    "Use {}.": "请使用 {0}。",
    "Write an option in each line.": "请每行写一个选项。",
    "Write some around {}.": "请在 {0} 前后写一些词。",
    "Write {} once, where the prompt goes.": "请把 {0} 写一次，放在提示词的位置。",
    "drawing its words does not end ({}...)": "取词没有尽头（{0}...）",
    "it holds no presets of Wan Studio": "其中没有 Wan Studio 的预设",
    "its presets cannot be read": "无法读取其中的预设",
    "the file of {} is damaged, or of a newer version": "{0} 的文件已损坏，或来自更新的版本",
    "the wildcard file {}.txt cannot be read": "无法读取通配符文件 {0}.txt",
    "the wildcard file {}.txt is empty": "通配符文件 {0}.txt 是空的",
    "the words of {} are refused": "{0} 的词不被接受",
    "Ask them.": "请询问所有者。",
    "Leave one of them out.": "请去掉其中一个。",
    "Name one such as t2v or i2v.": "请写 t2v 或 i2v 之类的名称。",
    "Name one: {}.": "请指明一个：{0}。",
    "it is given both by name and as a file": "它既按名称又以文件给出",
    "this is for the owner of the studio": "只有本程序的所有者可以这样做",
    "this is refused": "不被接受",
    "{} is done by no model here": "这里没有模型能做 {0}",
    "{} is in several tabs": "{0} 在多个页中都有",
    "{} is no tab": "{0} 不是页",
    "there are {} already": "已有 {0} 个",
    "there is no wildcard file for __{}__": "没有 __{0}__ 的通配符文件",
    "there is no {}": "没有 {0}",
    "there is nothing to download": "没有可下载的内容",
    "{} cannot be kept as {}": "{0} 无法以 {1} 保存",
    "{} has no words": "{0} 没有词",
    "{} is no name to keep something under": "{0} 不能用作保存的名称",
    "{} is not in this machine": "本机没有 {0}",
    "{} is too long to be kept": "{0} 太长，无法保存",
}

_TOLD = {
    "Jobs run inside the web process.": "任务在网页进程内运行。",
    "The models are unloaded; the next job loads them again.": "模型已卸载；下一个任务会重新加载。",
    "The worker is replaced, because it did not stop when cancelled.": "取消后没有停止，已更换工作进程。",
    "Queued again: {}.": "已重新排队：{0}。",
    "Given up after {} attempts: {}; {}.": "尝试 {0} 次后放弃：{1}；{2}。",
    "try a smaller size or fewer frames": "请试更小的尺寸或更少的帧",
    "check the disk and the files of the model in Settings, and download again what is damaged": (
        "请检查磁盘和“设置”中的模型文件，并重新下载已损坏的文件"
    ),
    "The video is shorter than {} frames; {} were made.": "视频不足 {0} 帧；生成了 {1} 帧。",
    "peak {} GiB on the device, {} GiB of RAM": "峰值：设备 {0} GiB，内存 {1} GiB",
    "VAE in tiles of {} pixels": "VAE 分块为 {0} 像素",
    "with and without the prompt in one pass": "有提示词与无提示词合为一次计算",
    "{} GiB are copied in each step, about {} s": "每步复制 {0} GiB，约 {1} 秒",
}

_NOTED = {
    "{} of {} steps were computed.": "计算了 {1} 步中的 {0} 步。",
    "Skipped steps: {}.": "跳过的步：{0}。",
    "No step was skipped: its windows lie elsewhere in every step.": "没有跳过任何步骤：窗口在每一步的位置都不同。",
    "No step was skipped: runs of up to {} steps need each of theirs.": "没有跳过任何步：{0} 步以内的生成每一步都不可少。",
    "MagCache has measured this model; its next videos will skip steps.": "MagCache 已测量此模型；之后的视频将跳过步骤。",
    "A last frame is taken too, but it was not made for that.": "也可给末帧，但它并非为此而作。",
    "An early state of Wan2.1 VACE 1.3B.": "Wan2.1 VACE 1.3B 的早期版本。",
    "Up to 4 reference pictures; describe them in the prompt.": "至多 4 张参考图；请在提示词中描述它们。",
    "Up to 4 reference pictures; describe them in the prompt. It was trained with 24 frames a second; wide pictures work best.": (
        "至多 4 张参考图；请在提示词中描述它们。它以每秒 24 帧训练；宽画面效果最好。"
    ),
    "{} It was trained with 24 frames a second; wide pictures work best.": "{0}它以每秒 24 帧训练；宽画面效果最好。",
    "Describe the video in the prompt. It was trained with 81 frames of 832x480 only.": (
        "请在提示词中描述视频。它只用 832x480 的 81 帧训练过。"
    ),
    "DiffSynth-Studio publishes the controller on ModelScope: put its model.safetensors into the folder Wan2.1-1.3b-speedcontrol-v1 of the models.": (
        "DiffSynth-Studio 在 ModelScope 发布了控制器：请把它的 model.safetensors 放入模型文件夹中的 "
        "Wan2.1-1.3b-speedcontrol-v1。"
    ),
}

_MODELS = {MODELS[model].title: title for model, title in MODEL_TITLES.items()}

SENTENCES = {
    **_MODELS,
    **GUIDANCE_SENTENCES,
    **_NOTED,
    **_GIVEN,
    **_CHECKED,
    **_MEDIA,
    **_FAILED,
    **_KEPT,
    **_TOLD,
    **ENHANCING,
    **ARRIVING,
    **EXAMPLES,
    **MEDIA,
    **PUBLIC,
    **QUEUE,
    **RUNNING,
    **UPSCALING,
    **WEIGHTS,
}

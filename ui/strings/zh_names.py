"""What the controls and their choices are called in Chinese; by the names of ``wan_core.schema``."""

from ui.strings.naming import Named
from wan_core.media.encoders import ENCODERS

REQUEST_NAMES = {
    "task": Named("任务", "用什么来生成视频：只用文字、一张图片、两张图片或一段视频。"),
    "model": Named("模型", "由谁来画：较大的模型细节更多、更贴近提示词，也更慢；完整列表见“模型”页。"),
    "prompt": Named("提示词", "画面中应出现的内容：主体、动作、地点、光线、风格。"),
    "negative_prompt": Named(
        "反向提示词", "画面要远离的内容，例如模糊或多余的手指；引导强度为 1 时不读取。清空则不指明任何内容。"
    ),
    "width": Named("宽度", "画面宽度（像素），须为 16 的倍数；离模型自己的尺寸太远，主体会重复或散乱。"),
    "height": Named("高度", "画面高度（像素），须为 16 的倍数；离模型自己的尺寸太远，主体会重复或散乱。"),
    "num_frames": Named(
        "帧数", "以帧计的长度，须为 4n+1（16 fps 时 81 帧为 5 秒）；超出模型自己的长度，动作会开始重复。"
    ),
    "windows": Named(
        "长视频",
        "用相互过渡的窗口生成比模型一次所能看到的更长的视频，或首尾相接的视频；内存只需一个窗口的量。还可以写："
        "static frames=81 stride=4。",
    ),
    "num_inference_steps": Named(
        "步数", "去噪步数：太少则形状柔和、不稳，越多越精细也越慢；超过模型自己的步数后变化很小。"
    ),
    "guidance_scale": Named(
        "引导强度",
        "画面遵循提示词的严格程度：低则柔和自由，高则对比生硬、颜色过曝；设为 1 关闭引导，用时减半。",
    ),
    "shift": Named("Flow shift", "步数用在哪里：越大越先定下动作和构图，越小越多地用于细节。"),
    "scheduler": Named(
        "采样器",
        "UniPC 为官方采样器；LCM 用于蒸馏过的权重。RES、DEIS 和 DPM++ 同样精确，细节略有不同；"
        "ER-SDE 途中重新抽取噪声，质感更生动。",
    ),
    "seed": Named(
        "种子", "画面由这份噪声生长而成：种子和设置相同，视频就相同，换种子就换一个场景；-1 每次取新的种子。"
    ),
    "loras": Named("LoRA", "改变画风、主体或速度的文件，可分别设定强度。"),
    "fps": Named("帧率", "文件每秒的帧数：帧数不变时，越高动作越快、结束越早。"),
    "image": Named("图片", "视频的第一帧，视频由它动起来。"),
    "last_image": Named("末帧图片", "视频的最后一帧，动作到这里为止。"),
    "references": Named("参考图", "提示词所述的场景中应出现的人或物的图片。"),
    "video": Named("视频", "要修改、跟随或续写的视频。"),
    "mask": Named("遮罩", "图片或视频：白色处重新生成，黑色处保留。"),
    "camera_poses": Named("相机位姿", "每行一个相机位姿的文本文件：视角沿它移动。会取代镜头运动。"),
    "continues": Named("续接", "新视频从它继续，并接在其后。"),
    "video_start": Named("起点", "从视频的第几秒开始取用；之前的内容不会用到。"),
    "video_end": Named("终点", "取用到视频的第几秒；之后的内容不会用到。留空则到结尾。"),
    "fit": Named("适配", "形状不同的画面如何处理：裁切会切掉边缘，加边会补上边框，拉伸会变形。"),
    "crops": Named(
        "裁剪",
        "每张图片或每段视频所使用的部分：左、上、右、下边缘，以宽高的比例表示，"
        "如 image=0.1,0,0.9,1。留空表示全部。",
    ),
    "match_input": Named(
        "匹配输入", "采用输入图片或视频的形状，不会裁掉任何部分；面积仍为所选分辨率的面积。"
    ),
    "strength": Named("强度", "画面偏离原视频的程度：低则保留形状和动作，高则所剩无几；0 原样返回。"),
    "strength_mode": Named(
        "强度的含义", "缩短噪声范围：走完全部步数，更精细；跳过步数：略去最前面的步骤，更快。"
    ),
    "preprocess": Named(
        "由视频制作控制画面",
        "跟随视频中的什么：Canny 和柔和边缘保留轮廓，深度保留空间，姿态保留人物，光流保留运动，灰度保留"
        "颜色以外的一切；“原样”则全部跟随，在遮罩下也是如此。方框布局无法在此绘制，请将其作为视频给出并选“"
        "原样”。",
    ),
    "mask_builder": Named(
        "构建遮罩",
        "重新生成什么，用数字而不是手绘遮罩来指定：一个方框、四边的新画面、中间的帧，或之前、之后的内容。",
    ),
    "region": Named("区域", "重新生成的方框，其余保持不变：左、上、右、下边，以边长的比例表示。"),
    "outpaint": Named("扩展画面", "在左、上、右、下各画出多少新画面，以边长的比例表示。"),
    "kept_frames": Named(
        "保留的帧", "保持不变的帧，其他帧重新生成，从 0 起；-1 为最后一帧。选“之前”或“之后”时为帧数。"
    ),
    "keep_exact": Named("精确保留", "遮罩保留的部分逐像素放回；否则由模型重新绘制。"),
    "control_scale": Named(
        "控制强度", "画面跟随控制的紧密程度：低则更多由提示词决定，高则贴合每条线；0 忽略它。"
    ),
    "control_start": Named("控制起点", "从总步数的这一比例起开始控制；越晚，构图越由提示词决定。"),
    "control_end": Named("控制终点", "到总步数的这一比例结束控制；越早，细节越由提示词决定。"),
    "camera_motion": Named("镜头运动", "镜头移动的方向，整个视野随之移动。"),
    "camera_speed": Named("镜头速度", "镜头每帧移动的幅度：低则缓缓漂移，高则迅速扫过。"),
    "camera_rotation": Named("与 DiffSynth 一致", "像 DiffSynth-Studio 那样剪切视角，而不是移动镜头。"),
    "camera_path": Named("新的镜头路径", "重新渲染同一场景时镜头如何移动。"),
    "motion_bucket": Named("运动量", "画面中运动的多少：0 几乎静止，100 十分活跃。"),
    "reference_guidance_scale": Named(
        "参考图引导", "画面遵循参考图的严格程度：越高越像参考图，留给提示词的越少。"
    ),
    "step_cache": Named(
        "步骤缓存",
        "变化很小的步骤不再计算，而沿用前一步带来的变化：视频更快完成，画面略有不同；“快速”比“保守”差别更大。",
    ),
    "step_cache_threshold": Named(
        "步骤缓存阈值",
        "一步可偏离多少仍被跳过：越高越快，丢失的细节也越多，0 不跳过；留空则取适合方法和模型的值。",
    ),
    "image_format": Named("图片格式", "PNG 保留每个像素；JPEG 和 WebP 更小，略有损失。"),
    "video_format": Named(
        "视频格式", "MP4 处处可播；WebM 更小；GIF 只有 256 色；PNG 保留每个像素，存为 ZIP 或文件夹。"
    ),
    "codec": Named(
        "编码器",
        "自动：MP4 用 H.264，WebM 用 VP9。HEVC 和 AV1 更小，但并非所有浏览器都能播放；nvenc 在显卡上编码。",
    ),
    "crf": Named(
        "质量（CRF）",
        "越低画质越好、文件越大；0 不损失任何已编码的颜色。"
        "各编码器在同一数值下画质相近；GIF 和 PNG 不用此项。",
    ),
    "interpolate_fps": Named(
        "插帧到",
        "补到每秒多少帧；中间帧由 ffmpeg 根据运动绘制：更流畅，速度不变。快速运动可能出现拖影。0 不插帧。",
    ),
    "upscale": Named(
        "放大",
        "宽和高放大的倍数：Lanczos 重采样的画面更大而不增加细节；放大模型会画出细节，用时更长。",
    ),
    "upscaler": Named(
        "放大模型",
        "放大模型文件夹中的文件，它为更大的画面画出细节；放大多少由“放大”决定。留空则用 Lanczos 重采样。",
    ),
    "loop_count": Named("循环次数", "GIF 或 WebP 播放几遍；0 为无限循环。"),
    "ping_pong": Named("往返播放", "先正放再倒放，使循环没有跳变；无声音。"),
    "keep_audio": Named("保留声音", "沿用被修改或续接的视频的声音；仅限 MP4 和 WebM。"),
    "filename": Named(
        "文件名",
        "花括号中的词会被替换：date、time、job、seed、model、task、prompt、width、height、frames、fps、steps。"
        "留空则为 {date}-{time}-{job}。",
    ),
    "preview_every": Named("预览间隔", "生成途中每隔多少步预览一次；视频不变。0 不预览。"),
    "embed_metadata": Named("在文件中写入设置", "把这些设置存入视频文件，以便日后再用；画面不变。"),
    "embed_inputs": Named(
        "在文件中写入输入图片",
        "把源图片也存入文件，单凭该文件即可重新生成；得到文件的人也就得到了这些图片。",
    ),
    "sidecar": Named("在文件旁保存设置", "把设置写成视频旁边的一个 JSON 文件；画面不变。"),
}

SETTING_NAMES = {
    "profile": Named("显存方案", "模型同时有多少放在 GPU 上：越少越能生成更大的视频，也越慢；画面不变。"),
    "vram_limit_gib": Named("显存上限", "最多使用的显存（GiB）；留空则用全部。越少越慢；画面不变。"),
    "vram_buffer_gib": Named("显存预留", "留给其他程序的显存（GiB）。"),
    "precision": Named("精度", "Transformer 权重的保存方式：越小越省显存，细节会有变化。"),
    "fp16_accumulation": Named("fp16 累加", "精度为 fp16 时累加也用 fp16：更快，细节更粗糙；仅限 NVIDIA。"),
    "text_encoder": Named(
        "文本编码器", "在哪里读取提示词，影响用时；int8 使编码器占用减半，画面有细微变化。"
    ),
    "attention": Named(
        "注意力",
        "用什么计算注意力，它占长视频的大部分时间；Sage 会取舍数值，细节有变化；"
        "径向稀疏和滑动块稀疏略去相距很远的部分，画面会改变；其他的几乎没有变化。",
    ),
    "compile": Named(
        "编译",
        "编译 Transformer 的各个块：每步更快，但每种尺寸的第一步慢得多；适用任何尺寸时只有最初一步慢，"
        "但每步快得少些；调优要用几分钟试出最快的办法。画面几乎不变。"
        "CUDA 图不编译：把一步的工作一次全部启动，步骤很短时更快，画面不变。",
    ),
    "vae_tiling": Named("分块解码", "分块解码：占用更少，稍慢，画面相同。"),
    "vae_tile": Named("分块大小", "每块的边长（像素）：越小越省显存，也越慢；画面不变。"),
    "model_folders": Named("模型文件夹", "另外在哪些文件夹中查找模型和 LoRA。"),
    "idle_unload_minutes": Named("空闲时卸载", "没有任务多少分钟后把模型移出内存；0 一直保留。"),
}

MODEL_TITLES = {
    "demo": "演示模型（内置）",
    "demo-image": "图生视频演示模型（内置）",
    "demo-vace": "VACE 演示模型（内置）",
}
"""Titles that are words; those that are names stay as they are."""

CHOICE_TITLES = {
    **{f"model:{model}": title for model, title in MODEL_TITLES.items()},
    "": "无",
    "none": "无",
    "t2v": "文生视频",
    "t2i": "文生图",
    "i2v": "图生视频",
    "flf2v": "首尾帧",
    "v2v": "视频转视频",
    "control": "控制",
    "crop": "裁切",
    "fit": "加边",
    "stretch": "拉伸",
    "sigma": "缩短噪声范围",
    "steps": "跳过步数",
    "as-is": "原样",
    "grey": "灰度",
    "canny": "Canny 边缘",
    "soft-edge": "柔和边缘",
    "depth": "深度",
    "pose": "姿态",
    "windows:": "关",
    "static": "窗口：固定",
    "uniform": "窗口：移动",
    "looped": "无缝循环",
    "sliding fuse=linear": "窗口：同 DiffSynth-Studio",
    "flow": "光流",
    "region": "区域",
    "outpaint": "扩展画面",
    "frames": "帧",
    "before": "之前的内容",
    "after": "之后的内容",
    "left": "左",
    "right": "右",
    "up": "上",
    "down": "下",
    "left-up": "左上",
    "left-down": "左下",
    "right-up": "右上",
    "right-down": "右下",
    "in": "推近",
    "out": "拉远",
    "pan-right": "右摇",
    "pan-left": "左摇",
    "tilt-up": "上仰",
    "tilt-down": "下俯",
    "zoom-in": "放大",
    "zoom-out": "缩小",
    "translate-up": "上移",
    "translate-down": "下移",
    "arc-left": "左环绕",
    "arc-right": "右环绕",
    "png": "PNG",
    "video_format:png": "PNG 帧（ZIP）",
    "png-folder": "PNG 帧（文件夹）",
    "jpeg": "JPEG",
    "webp": "WebP",
    "mp4": "MP4",
    "webm": "WebM",
    "gif": "GIF",
    "unipc": "UniPC",
    "dpm++": "DPM++",
    "euler": "Euler",
    "lcm": "LCM",
    "linear": "均匀",
    "ease-in": "缓入",
    "ease-out": "缓出",
    "negative": "反向计算",
    "third": "第三次计算",
    "res_multistep": "RES 多步",
    "deis": "DEIS",
    "er_sde": "ER-SDE",
    "off": "关",
    "conservative": "保守",
    "fast": "快速",
    "teacache": "TeaCache",
    "teacache-retention": "TeaCache（保留）",
    "easycache": "EasyCache",
    "magcache": "MagCache",
    "first-block": "首块缓存",
    "auto": "自动",
    **{
        codec: encoder.title.replace(" on NVIDIA", "（NVIDIA）")
        for codec, encoder in ENCODERS.items()
        if codec != "auto"
    },
}

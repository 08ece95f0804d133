"""About guidance, in Chinese: its texts, and the names of its fields."""

from ui.strings.guidance import GuidanceTexts
from ui.strings.naming import Named

GUIDANCE_TEXTS = GuidanceTexts(
    fold="引导与噪声水平",
    sections={
        "course": "引导强度的变化",
        "cfg_zero": "CFG-Zero*：高引导下更稳定",
        "nag": "NAG：在注意力中使用反向提示词",
        "skipping": "跳层引导：形体更扎实",
        "enhancing": "Enhance-A-Video：画面更稳定",
        "fresca": "FreSca：粗细分别引导",
        "riflex": "RIFLEx：长视频",
        "steps": "噪声水平与步数",
    },
    changed="已设 {count} 项",
    reset="全部恢复默认",
)

GUIDANCE_NAMES = {
    "sigmas": Named(
        "噪声水平",
        "每步一个，依次下降，最高为 1，例如 1, 0.9375, 0.8333, 0.625；它们取代步数与偏移。"
        "为少步数训练的权重只有在自己的水平下才好看。",
    ),
    "start_step": Named(
        "略去的开头步数", "用于视频改视频：晚这么多步开始，更接近原视频；略去的部分不会改变。"
    ),
    "end_step": Named("最后一步", "到这一步就结束，直接给出此时预期的画面：更快，但比完整运行柔和。"),
    "guidance_scales": Named(
        "每步的引导强度",
        "每步一个引导强度，例如 6, 6, 4, 2；最后一个沿用到底。开头高可定下内容，结尾低可让颜色和皮肤自然。",
    ),
    "guidance_scale_end": Named("结束时的引导强度", "运行中引导强度从原值变到此值：调低可减轻颜色过曝。"),
    "guidance_easing": Named("变化方式", "均匀、先慢后快（缓入）或先快后慢（缓出）。"),
    "guidance_start": Named(
        "引导起点", "从总步数的这一比例才开始引导，之前每步只需一半时间。越晚，构图越自由。"
    ),
    "guidance_end": Named("引导终点", "到总步数的这一比例停止引导，之后每步只需一半时间。越早，细节越柔和。"),
    "cfg_zero": Named(
        "CFG-Zero*", "比较之前先让反向结果与正向结果的幅度相称：高引导下颜色更稳，运动更干净。"
    ),
    "zero_init_steps": Named(
        "静止的步数",
        "开头这么多步不作改变，也不费时间，CFG-Zero* 用 1 步：避开最没把握的猜测。太多会残留噪点。",
    ),
    "skip_blocks": Named(
        "跳过的层", "块的编号，例如 9, 10，在画面要远离的那次计算中略去：形体和手更扎实，运动更连贯。"
    ),
    "skip_mode": Named(
        "在哪次计算中跳层", "反向计算不多费时间，但引导强度须大于 1；第三次计算不受此限，但多费一次的时间。"
    ),
    "skip_scale": Named("第三次计算的权重", "画面远离跳层结果的程度。"),
    "skip_start": Named("跳层起点", "从总步数的这一比例开始跳层。"),
    "skip_end": Named("跳层终点", "到总步数的这一比例不再跳层。"),
    "nag_scale": Named(
        "NAG",
        "归一化注意力引导：反向提示词所说的内容会淡去，引导强度为 1、平时不读反向提示词时也有效。"
        "1 为关，常用 11。",
    ),
    "nag_tau": Named("NAG 上限", "NAG 最多把注意力放大多少：越低越温和。"),
    "nag_alpha": Named("NAG 比例", "其结果混入多少。"),
    "enhance_video": Named(
        "Enhance-A-Video",
        "让各帧更多地互相参照：细节更稳、闪烁更少，太高则运动变少。0 为关，常用 2。",
    ),
    "enhance_start": Named("增强起点", "从总步数的这一比例开始增强。"),
    "enhance_end": Named("增强终点", "到总步数的这一比例不再增强。"),
    "fresca_low": Named("FreSca：粗", "大块形状与颜色的引导倍数：低于 1 时构图更自由。"),
    "fresca_high": Named("FreSca：细", "边缘与质感的引导倍数：1.25 更清晰。"),
    "fresca_cutoff": Named("FreSca：分界", "多粗算粗，以所能容纳的最细细节的比例表示。"),
    "riflex": Named(
        "RIFLEx",
        "用于比模型训练时更长的视频：把这一编号的波放慢，使运动不会从头重复。0 为关，常用 6；短视频不变。",
    ),
}

GUIDANCE_SENTENCES = {
    "the guidance of each step is given already": "已给出每步的引导强度",
    "Leave one of the two out.": "请去掉两者之一。",
    "{} has no block {}": "{0} 没有第 {1} 块",
    "Its blocks are 0 to {}.": "它的块为 0 到 {0}。",
    "{} has no wave {} over time": "{0} 在时间上没有第 {1} 个波",
    "Its waves are 1 to {}.": "它的波为 1 到 {0}。",
    "{} is not below the level before, {}": "{0} 不低于前一个水平 {1}",
    "Let them fall from step to step.": "请让它们逐步下降。",
    "only a video that is changed can be begun later": "只有视频改视频才能从后面的步开始",
    "Use video to video, or set it to 0.": "请用视频改视频，或设为 0。",
    "{} leaves none of {} steps": "{0} 使 {1} 步一步不剩",
    "{} is no list of numbers": "{0} 不是数的列表",
    "Write numbers, such as 1, 0.75, 0.5.": "请写若干个数，例如 1, 0.75, 0.5。",
    "Try {}.": "请试 {0}。",
    "{} changed nothing, as there is no negative pass at guidance scale 1.": (
        "{0} 没有作用，因为引导强度为 1 时没有反向计算。"
    ),
    "RIFLEx changed nothing: it is for clips longer than {} frames.": (
        "RIFLEx 没有作用：它用于长于 {0} 帧的视频。"
    ),
    "Enhance-A-Video changed nothing: a single frame has no others to attend to.": (
        "Enhance-A-Video 没有作用：单帧没有别的帧可参照。"
    ),
}

"""What the time line of a video says in Chinese."""

from ui.strings.timeline import TimelineTexts

TIMELINE_TEXTS = TimelineTexts(
    title="取用视频的哪一段",
    handle_help="拖动，或用方向键：每次一帧，按住 Shift 每次一秒。",
    at="{seconds} 秒 · 第 {frame} 帧",
    taken="{chosen} 秒：{frames} 帧，每秒 {fps} 帧。",
    taken_part="{chosen} 秒，其中前 {frames} 帧（每秒 {fps} 帧）用于生成。",
    chosen="{seconds} 秒中的 {chosen} 秒。",
    last="用到 {seconds} 秒",
    whole="整个视频",
    unseen="此浏览器无法播放该视频，但模型可以使用它。",
)

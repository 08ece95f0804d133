"""What the time line of a video says in English."""

from ui.strings.timeline import TimelineTexts

TIMELINE_TEXTS = TimelineTexts(
    title="Part of the video that is used",
    handle_help="Drag, or use the arrow keys: a frame at a time, with Shift a second.",
    at="{seconds} s · frame {frame}",
    taken="{chosen} s: {frames} frames at {fps} a second.",
    taken_part="{chosen} s, of which the clip takes the first {frames} frames at {fps} a second.",
    chosen="{chosen} s of {seconds} s.",
    last="used to {seconds} s",
    whole="Whole video",
    unseen="This browser cannot play the video; the model can use it.",
)

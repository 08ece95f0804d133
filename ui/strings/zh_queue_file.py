"""What the page says about the queue as a file in Chinese."""

from ui.strings.queue_file import QueueFileTexts

QUEUE_FILE_TEXTS = QueueFileTexts(
    save="保存队列",
    save_help="把所有等待中的任务连同图片和视频下载为 ZIP；不含正在生成的视频。",
    load="载入队列",
    load_help="把这种 ZIP 中的任务加到等待队列之后；也可把它拖放到页面任意位置。",
    saving="正在保存队列",
    saved="{name} 中有 {count} 个等待中的任务。",
    loading="正在载入 {name}",
    loaded="{name} 的 {total} 个任务中，{count} 个已加入队列。",
    progress="{words}：{done} / {total}",
    line="{number}. {prompt}：{said}",
    more_lines="以及另外 {count} 个",
    nothing_waits="没有可保存的等待任务。",
    too_large="{name} 超过 {size} MiB；可在本程序所在的机器上用 python -m wan_core queue load 载入。",
    only_command="它超过页面可载入的 {size} MiB；请用 python -m wan_core queue load 载入。",
    busy="另一个队列正在保存或载入；请等它完成后再试。",
    no_answer="无法得知结果；请查看队列后重试。",
)

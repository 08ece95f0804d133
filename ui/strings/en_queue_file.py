"""What the page says about the queue as a file in English."""

from ui.strings.queue_file import QueueFileTexts

QUEUE_FILE_TEXTS = QueueFileTexts(
    save="Save queue",
    save_help="Download all that waits, with its pictures and videos, as a ZIP; not the video that runs.",
    load="Load queue",
    load_help="Add the jobs of such a ZIP behind what waits; or drop it anywhere on the page.",
    saving="Saving the queue",
    saved="{count} waiting jobs are in {name}.",
    loading="Loading {name}",
    loaded="{count} of {total} jobs of {name} are in the queue now.",
    progress="{words}: {done} of {total}",
    line="{number}. {prompt}: {said}",
    more_lines="and {count} more",
    nothing_waits="Nothing waits that could be saved.",
    too_large="{name} is larger than {size} MiB; python -m wan_core queue load takes it.",
    only_command="It is larger than the {size} MiB that this page takes; python -m wan_core queue load does.",
    busy="Another queue is being saved or loaded; try again when that is done.",
    no_answer="The studio has lost track of it; look at the queue and try again.",
)

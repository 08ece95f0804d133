"""What many rows share: files, sizes, and what a task takes."""

from __future__ import annotations

from wan_core.catalog.spec import TaskInputs, WeightFiles
from wan_core.schema.request import Task

TOKENIZER = WeightFiles(
    (
        "google/umt5-xxl/tokenizer.json",
        "google/umt5-xxl/tokenizer_config.json",
        "google/umt5-xxl/special_tokens_map.json",
        "google/umt5-xxl/spiece.model",
    ),
    16_837_417 + 61_728 + 6_623 + 4_548_313,
    (
        "6e197b4d3dbd71da14b4eb255f4fa91c9c1f2068b20a2de2472967ca3d22602b",
        "",
        "",
        "e3909a67b780650b35cf529ac782ad2b6b26e6d1f849d3fbb6a872905f452458",
    ),
)
UMT5 = WeightFiles(
    ("models_t5_umt5-xxl-enc-bf16.pth",),
    11_361_920_418,
    ("7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d",),
)
VAE = WeightFiles(
    ("Wan2.1_VAE.pth",),
    507_609_880,
    ("38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",),
)
CLIP = WeightFiles(
    ("models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",),
    4_772_359_047,
    ("628c9998b613391f193eb67ff68da9667d75f492911e4eb3decf23460a158c38",),
)

SIZES_480P = ((832, 480), (480, 832), (624, 624), (704, 544), (544, 704))
SIZES_720P = ((1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088))

_CUT = ("fit", "match_input", "crops")
_CLIP = ("video_start", "video_end", *_CUT)

IMAGE = TaskInputs("image", ("image",), ("continues", *_CUT))
FIRST_AND_LAST = TaskInputs("image", ("image", "last_image"), _CUT)
VIDEO = TaskInputs("video", ("video",), ("mask", "keep_exact", "strength", "strength_mode", *_CLIP))
PICTURE = TaskInputs(optional=("image_format",))
TEXT_TASKS: dict[Task, TaskInputs] = {"t2v": TaskInputs(), "t2i": PICTURE, "v2v": VIDEO}
"""What every model made for text does: a single frame is a picture, and any video can be begun from."""

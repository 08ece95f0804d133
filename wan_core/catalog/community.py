"""Models that others made from the official ones: Phantom, ReCamMaster, speed control. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from wan_core.catalog import official
from wan_core.catalog.parts import SIZES_480P, SIZES_720P, TEXT_TASKS, TOKENIZER, UMT5, VAE
from wan_core.catalog.spec import ModelSpec, Role, SamplingDefaults, TaskInputs, WeightFiles
from wan_core.schema.request import Task

_OFFICIAL = {row.id: row for row in official.ROWS}
_SMALL, _LARGE = _OFFICIAL["wan2.1-t2v-1.3b"], _OFFICIAL["wan2.1-t2v-14b"]


def _from_small(files: WeightFiles) -> WeightFiles:
    """A part that is taken from the repository of Wan2.1 T2V 1.3B."""
    return replace(files, repo=_SMALL.repo, revision=_SMALL.revision)


def _with_transformer(transformer: WeightFiles) -> dict[Role, WeightFiles]:
    """The parts of a model whose repository holds nothing but its transformer."""
    return {
        Role.TRANSFORMER: transformer,
        Role.TEXT_ENCODER: _from_small(UMT5),
        Role.VAE: _from_small(VAE),
    }


PHANTOM_TASKS: dict[Task, TaskInputs] = {
    "control": TaskInputs("phantom", ("references",), ("reference_guidance_scale",), max_references=4)
}
RECAM_TASKS: dict[Task, TaskInputs] = {
    "control": TaskInputs(
        "recam",
        ("video", "camera_path"),
        ("camera_poses", "video_start", "video_end", "fit", "crops"),
    )
}
SPEED_TASKS: dict[Task, TaskInputs] = {
    **TEXT_TASKS,
    "t2v": TaskInputs("motion", optional=("motion_bucket",)),
}

_PHANTOM_REPO = "bytedance-research/Phantom"
_PHANTOM_REVISION = "926cb19b8273d3841edcf905ca4ddb57f8e43207"
_PHANTOM_NOTE = "Up to 4 reference pictures; describe them in the prompt."

# Sizes that are not to the byte are those of the tensors: 14.29 B parameters in float32 for Phantom 14B,
# 1.49 B in bfloat16 for ReCamMaster, 16.9 M in float32 for speed control.
ROWS: tuple[ModelSpec, ...] = (
    replace(
        _SMALL,
        id="phantom-1.3b",
        title="Phantom 1.3B",
        inputs=PHANTOM_TASKS,
        repo=_PHANTOM_REPO,
        revision=_PHANTOM_REVISION,
        weights=_with_transformer(WeightFiles(("Phantom-Wan-1.3B.pth",), 5_692_970_224)),
        tokenizer=_from_small(TOKENIZER),
        defaults=SamplingDefaults(width=832, height=480, guidance_scale=7.5),
        sizes=SIZES_480P + SIZES_720P,
        note=_PHANTOM_NOTE,
    ),
    replace(
        _LARGE,
        id="phantom-14b",
        title="Phantom 14B",
        inputs=PHANTOM_TASKS,
        repo=_PHANTOM_REPO,
        revision=_PHANTOM_REVISION,
        weights=_with_transformer(
            WeightFiles(("Phantom_Wan_14B.safetensors.index.json",), _LARGE.weights[Role.TRANSFORMER].size)
        ),
        tokenizer=_from_small(TOKENIZER),
        defaults=SamplingDefaults(width=832, height=480, num_frames=121, guidance_scale=7.5, fps=24),
        sizes=SIZES_480P + SIZES_720P,
        note=f"{_PHANTOM_NOTE} It was trained with 24 frames a second; wide pictures work best.",
    ),
    replace(
        _SMALL,
        id="recammaster-1.3b",
        title="ReCamMaster 1.3B",
        inputs=RECAM_TASKS,
        repo="KwaiVGI/ReCamMaster-Wan2.1",
        revision="4f3f7391743dfd25067ab27e0f1eb8928d11b91d",
        dit=replace(_SMALL.dit, camera_path_dim=12),
        weights=_with_transformer(WeightFiles(("step20000.ckpt",), 2_981_000_000)),
        tokenizer=_from_small(TOKENIZER),
        defaults=SamplingDefaults(width=832, height=480, fps=15),
        sizes=((832, 480),),
        max_frames=81,
        note="Describe the video in the prompt. It was trained with 81 frames of 832x480 only.",
    ),
    replace(
        _SMALL,
        id="speedcontrol-1.3b",
        title="Wan2.1 T2V 1.3B with speed control",
        inputs=SPEED_TASKS,
        weights={
            **_SMALL.weights,
            Role.MOTION_CONTROLLER: WeightFiles(
                ("model.safetensors",),
                67_682_304,
                repo="DiffSynth-Studio/Wan2.1-1.3b-speedcontrol-v1",
                revision="main",
            ),
        },
        defaults=SamplingDefaults(width=832, height=480),
        note=(
            "DiffSynth-Studio publishes the controller on ModelScope: put its model.safetensors into the "
            "folder Wan2.1-1.3b-speedcontrol-v1 of the models."
        ),
    ),
)

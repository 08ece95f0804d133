"""Which tabs make something, of what tasks, and where each has its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wan_core.catalog import MODELS, ModelSpec
from wan_core.schema.request import Task


@dataclass(frozen=True)
class TabPlan:
    """A tab: ``first`` are the inputs that meet the eye, the others lie in ``FOLDS``.

    Inputs are request fields of the groups ``media`` and ``steering``. ``own`` tells the rows for files that
    a person has, as they are at the moment.
    """

    key: str
    tasks: tuple[Task, ...]
    first: tuple[str, ...] = ()
    own: Callable[[], Sequence[ModelSpec]] = tuple

    @property
    def models(self) -> list[ModelSpec]:
        """The models that do what the tab is for, in the catalog's order, and a person's own after them."""
        return [spec for spec in (*MODELS.values(), *self.own()) if set(self.tasks) & set(spec.tasks)]

    @property
    def inputs(self) -> set[str]:
        """Everything that any of the models takes; a person's own take what those of the catalog do."""
        return {name for spec in MODELS.values() for name in self.taken(spec)}

    def taken(self, spec: ModelSpec) -> set[str]:
        """The inputs that a model takes in this tab."""
        return {name for task in self.tasks_of(spec) for name in spec.inputs[task].taken}

    def asked(self, spec: ModelSpec, num_frames: float | None) -> set[str]:
        """The inputs of the task that is asked of a model; none if it does none of the tab's."""
        task = self.task(spec, num_frames)
        return set(spec.inputs[task].taken) if task in spec.inputs else set()

    def required(self, spec: ModelSpec) -> set[str]:
        """The inputs that a model cannot do without in this tab."""
        return {name for task in self.tasks_of(spec) for name in spec.inputs[task].required}

    def tasks_of(self, spec: ModelSpec) -> list[Task]:
        """The tab's tasks that a model does."""
        return [task for task in self.tasks if task in spec.tasks]

    def task(self, spec: ModelSpec, num_frames: float | None) -> Task:
        """What is asked of a model: a single frame is a picture where the tab and the model make any."""
        tasks = self.tasks_of(spec) or list(self.tasks)
        if "t2i" in tasks and (num_frames == 1 or len(tasks) == 1):
            return "t2i"
        return tasks[0]


TABS = (
    TabPlan("t2v", ("t2v", "t2i")),
    TabPlan("i2v", ("i2v",), ("image", "continues")),
    TabPlan("flf2v", ("flf2v",), ("image", "last_image")),
    TabPlan("v2v", ("v2v",), ("video", "strength")),
    TabPlan("control", ("control",), ("video", "preprocess", "camera_motion", "camera_path")),
)

FOLDS: dict[str, tuple[str, ...]] = {
    "pictures": ("image", "last_image", "references"),
    "mask": ("mask", "keep_exact", "mask_builder", "region", "outpaint", "kept_frames"),
    "steering": (
        "video",
        "strength",
        "strength_mode",
        "preprocess",
        "control_scale",
        "control_start",
        "control_end",
        "camera_motion",
        "camera_poses",
        "camera_speed",
        "camera_rotation",
        "camera_path",
        "motion_bucket",
        "reference_guidance_scale",
        "continues",
    ),
    "framing": ("video_start", "video_end", "match_input", "fit"),
}
"""The folded parts of a tab: inputs that a model takes and that do not meet the eye at once."""

_OTHERS = "steering"


def folded(plan: TabPlan, fold: str) -> list[str]:
    """The inputs that lie in a folded part of a tab; those that no part names lie in ``steering``."""
    named = {name for names in FOLDS.values() for name in names} | {"image_format", "crops"}
    others = sorted(plan.inputs - named) if fold == _OTHERS else []
    return [name for name in (*FOLDS[fold], *others) if name in plan.inputs and name not in plan.first]


def offered_tabs(own: Callable[[], Sequence[ModelSpec]] = tuple) -> list[TabPlan]:
    """The tabs for which there is any model, installed or not; ``own`` are rows for a person's own files."""
    return [replace(plan, own=own) for plan in TABS if plan.models]


def plan_of(task: Task) -> TabPlan:
    """The tab that makes a task."""
    return next(plan for plan in TABS if task in plan.tasks)

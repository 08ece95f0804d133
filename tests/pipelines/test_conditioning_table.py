"""The catalog and the conditioners know each other."""

from __future__ import annotations

import pytest

from wan_core.catalog import MODELS, Role
from wan_core.pipelines.conditioning.table import CONDITIONERS
from wan_core.schema import knobs

TASKS = [(row, task) for row in MODELS.values() for task in row.tasks]


@pytest.mark.parametrize(("row", "task"), TASKS, ids=lambda value: getattr(value, "id", value))
def test_every_task_has_its_conditioner_and_the_fields_that_it_takes(row, task) -> None:
    takes = row.inputs[task]
    groups = {name: knob.group for name, knob in knobs().items()}
    assert takes.conditioner in CONDITIONERS
    assert {groups[name] for name in takes.taken} <= {"media", "steering"}
    assert len(set(takes.taken)) == len(takes.taken)
    assert (takes.conditioner == "motion") <= (Role.MOTION_CONTROLLER in row.weights)
    assert bool(row.dit.image_dim) <= (Role.IMAGE_ENCODER in row.weights)

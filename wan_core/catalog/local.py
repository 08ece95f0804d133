"""Rows for files that a person has: a model of the table with another transformer. Imports no torch.

Such a row's id names the file, ``<id of the model>@<name>``, or several as ``<name>:<name>``; so it means the
same in every process and after a restart, and nothing has to be registered. ``wan_core.manager.library``
knows where the named files are.
"""

from __future__ import annotations

from dataclasses import replace

from wan_core.catalog.spec import ModelSpec, Role, WeightFiles

_MARK, _BETWEEN = "@", ":"


def with_files(spec: ModelSpec, names: tuple[str, ...]) -> ModelSpec:
    """``spec`` with the transformer in the library's files of these names, the last giving the title."""
    return replace(
        spec,
        id=f"{spec.id}{_MARK}{_BETWEEN.join(names)}",
        title=f"{spec.title} ({' + '.join(name.rpartition('/')[2] for name in reversed(names))})",
        weights={**spec.weights, Role.TRANSFORMER: WeightFiles(names, 0, is_local=True)},
    )


def split(model_id: str) -> tuple[str, tuple[str, ...]]:
    """The id in the table, and the names of a person's own files; none for the model as it is."""
    base, _, names = model_id.partition(_MARK)
    return base, tuple(name for name in names.split(_BETWEEN) if name)


def can_be_named(name: str) -> bool:
    """Whether a file's name leaves an id readable."""
    return _BETWEEN not in name

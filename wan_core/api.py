"""The studio from Python: load a model, by id or from one's own files, and call it.

    pipe = WanPipeline.load("wan2.1-t2v-1.3b")
    pipe("a red circle moving right", seed=1, output="circle.mp4")

Whatever is not named is looked for on this machine, then downloaded; what several models have in common is
kept once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_core.catalog import MODELS, ModelSpec, Role, WeightFiles, find_model
from wan_core.cli_request import infer_task
from wan_core.engine import Engine, ignore
from wan_core.manager.found_file import FoundFile, describe
from wan_core.manager.keeping import Keeping
from wan_core.manager.library import grouped
from wan_core.manager.model_manager import ModelManager
from wan_core.manager.weights import Part, WeightStore
from wan_core.models.umt5.tokenizer import TOKENIZER_FILES
from wan_core.schema import Emit, GenerationRequest, GenerationResult, InvalidRequest, Settings, WeightsError
from wan_core.schema.inputs import MEDIA_FIELDS

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Component:
    """A part of a model: where it comes from, and how it is kept.

    Attributes:
        files: a checkpoint, an index of shards, a folder that holds one of these, or several files: shards,
            or a transformer and the VACE module for it, in any dialect that the studio reads. Empty: the
            model's own files.
        dtype: "bf16", "fp16" or "fp32", and for the transformer and the text encoder also "fp8_e4m3",
            "fp8_e5m2", "fp8_scaled" or "int8"; None follows the settings.
        device: where it computes: None, the settings' device as the plan says; "cpu", always there.
        offload: where it waits between its uses: "ram", or "disk", from which it is read again.
    """

    files: PathLike | Sequence[PathLike] = ()
    dtype: str | None = None
    device: str | None = None
    offload: str = "ram"


class WanPipeline:
    """A model, ready to be called; see ``load``.

    Attributes:
        spec: the catalog's row, with the files that are used.
        engine: what runs the requests.
    """

    def __init__(self, spec: ModelSpec, engine: Engine) -> None:
        self.spec = spec
        self.engine = engine

    @classmethod
    def load(
        cls,
        model: str | None = None,
        components: Mapping[str, Component | PathLike | Sequence[PathLike]] | None = None,
        tokenizer: PathLike | None = None,
        local_model_folder: PathLike | None = None,
        skip_download: bool = False,
        settings: Settings | None = None,
        emit: Emit = ignore,
    ) -> WanPipeline:
        """A model from the catalog, from local files, or from both; what is missing is downloaded now.

        Args:
            model: an id of ``wan_core.catalog.MODELS``, or its repository ("Wan-AI/Wan2.1-T2V-1.3B"); None
                is the model that the transformer's file fits and resembles most.
            components: "transformer", "text_encoder", "vae", "image_encoder" or "motion_controller" -> its
                files, or a ``Component``.
            tokenizer: a folder with ``tokenizer.json`` or ``spiece.model``, or that file.
            local_model_folder: a folder to look in besides those of the settings: official folders by their
                repositories' names, or any checkpoints that bear the models' names. It is only read.
            skip_download: refuse what is on no disk instead of downloading it.
            settings: ``home``, ``model_folders``, ``device``, ``precision``, ``profile``,
                ``vram_limit_gib``, ``vram_buffer_gib`` and the rest.
            emit: told of the download; what it raises ends it.

        Raises:
            InvalidRequest: an argument is none of these.
            WeightsError: a file is missing, damaged or of another model; nothing is loaded yet.
        """
        settings = _local(settings or Settings(), local_model_folder, skip_download)
        wanted = {_role(name): _component(value) for name, value in (components or {}).items()}
        chosen: dict[Part, WeightFiles] = {
            role: _files(component) for role, component in wanted.items() if component.files
        }
        if tokenizer is not None:
            chosen["tokenizer"] = _tokenizer_files(Path(tokenizer))
        spec = _named(model) if model else _fitting(chosen.get(Role.TRANSFORMER))
        for role in wanted:
            if role not in spec.weights:
                raise InvalidRequest(
                    "components", f"{spec.title} has no {role}", f"It has {', '.join(spec.weights)}."
                )
            if role in chosen:
                _require(role, chosen[role], spec)
        store = WeightStore(settings, chosen=chosen)
        store.fetch(spec, emit)
        keeping = {role: Keeping(part.dtype, part.device, part.offload) for role, part in wanted.items()}
        manager = ModelManager(settings, store, keeping=keeping)
        return cls(store.as_found(spec), Engine(settings, manager))

    def __call__(
        self, prompt: str = "", *, output: PathLike | None = None, emit: Emit = ignore, **fields: Any
    ) -> GenerationResult:
        """Make a video or picture.

        Args:
            prompt: what should be seen.
            output: the file to be written; None is a new one in ``settings.outputs_dir``.
            emit: told of the progress; what it raises (``Cancelled``) ends the job.
            **fields: any field of ``GenerationRequest``; media may be given as paths.

        Raises:
            InvalidRequest: naming the field that is refused.
            WanStudioError: as ``Engine.generate``.
        """
        inputs = self.engine.inputs
        for name in MEDIA_FIELDS & set(fields):
            given = fields[name]
            one = given is None or isinstance(given, str | os.PathLike)
            fields[name] = given and (
                inputs.keep(Path(given)) if one else [inputs.keep(Path(g)) for g in given]
            )
        values = {"task": infer_task(self.spec, set(fields)), "model": self.spec.id, "prompt": prompt}
        request = GenerationRequest.parse({**values, **fields})
        return self.engine.generate(request, emit, output=None if output is None else Path(output))

    def unload(self) -> None:
        """Give the memory of all weights back; the next call loads them again."""
        self.engine.manager.unload()


def _local(settings: Settings, folder: PathLike | None, skip_download: bool) -> Settings:
    """The settings with another folder to look in first, and without the network if so told."""
    folders = (
        settings.model_folders if folder is None else (Path(folder).expanduser(), *settings.model_folders)
    )
    offline = settings.offline or skip_download
    return settings.model_copy(update={"model_folders": folders, "offline": offline})


def _named(model: str) -> ModelSpec:
    """The catalog's row of an id or a repository."""
    of_repository = (spec for spec in MODELS.values() if spec.repo and spec.repo == model)
    return next(of_repository, None) or find_model(model)


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError as error:
        raise InvalidRequest(
            "components", f"{name!r} is no part of a model", f"Name one of {', '.join(Role)}."
        ) from error


def _component(value: Component | PathLike | Sequence[PathLike]) -> Component:
    return value if isinstance(value, Component) else Component(value)


def _files(component: Component) -> WeightFiles:
    """The full paths of a component's files, their size, and how they are kept.

    Raises:
        WeightsError: one is missing or damaged.
    """
    given = component.files
    listed = [given] if isinstance(given, str | os.PathLike) else given
    named = [Path(path).expanduser().resolve() for path in listed]
    paths = [path for name in named for path in (_checkpoint_in(name) if name.is_dir() else (name,))]
    found = _found(paths)
    return WeightFiles(tuple(map(str, paths)), found.size, scheme=found.scheme)


def _checkpoint_in(folder: Path) -> tuple[Path, ...]:
    """The only checkpoint of a folder.

    Raises:
        WeightsError: there is none, or more than one.
    """
    found = grouped(folder, sorted(path.name for path in folder.iterdir() if path.is_file()))
    checkpoints = list(found)
    if len(checkpoints) != 1:
        names = ", ".join(files[0].name for files in checkpoints[:5])
        raise WeightsError(f"{folder} holds {names or 'no checkpoint'}; name one file of a model.")
    return checkpoints[0]


def _found(paths: Sequence[Path]) -> FoundFile:
    """What files are.

    Raises:
        WeightsError: one is missing or damaged.
    """
    found = describe(paths[0].name, paths)
    if found.problem:
        raise WeightsError(found.problem)
    return found


def _require(role: Role, files: WeightFiles, spec: ModelSpec) -> None:
    """Refuse files that are not this part of the model.

    Raises:
        WeightsError: saying what they are.
    """
    found = _found([Path(name) for name in files.files])
    if found.role is not role or spec.id not in found.models:
        raise WeightsError(
            f"{files.files[0]} is {found.what}, not the {role.replace('_', ' ')} of {spec.title}; "
            "choose another file, or the model that it belongs to."
        )


def _tokenizer_files(path: Path) -> WeightFiles:
    folder = (path if path.is_dir() else path.parent).expanduser().resolve()
    names = tuple(str(folder / name) for name in TOKENIZER_FILES if (folder / name).is_file())
    if not names:
        raise WeightsError(f"{folder} holds no tokenizer; put {' or '.join(TOKENIZER_FILES)} there.")
    return WeightFiles(names, sum(Path(name).stat().st_size for name in names))


def _fitting(files: WeightFiles | None) -> ModelSpec:
    """The model that a transformer's files fit and resemble most."""
    if files is None:
        raise InvalidRequest("model", "neither a model nor a transformer is named", "Name one of them.")
    found = _found([Path(name) for name in files.files])
    fitting = [MODELS[model] for model in found.models]
    if found.role is not Role.TRANSFORMER or not fitting:
        raise WeightsError(f"{files.files[0]} is {found.what}, which is no transformer of a known size.")
    return max(fitting, key=found.likeness)

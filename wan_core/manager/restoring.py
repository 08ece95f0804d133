"""A file of the studio back into the request that made it, as far as this machine can. Imports no torch.

The file may come from anybody, and from a newer studio: every value is checked, what is not known is left out
and said, and inputs that it brings along are taken in like any other file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wan_core.catalog import MODELS, find_model
from wan_core.catalog.check import is_known
from wan_core.lora.shelf import find_lora, list_loras
from wan_core.manager.file_hashes import FileHashes
from wan_core.manager.origins import transformer_files
from wan_core.manager.weights import WeightStore
from wan_core.media.embedding import take_embedded
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import FILES_KEY, REQUEST_KEY, read_metadata
from wan_core.schema import GenerationRequest, InvalidRequest, MediaError, Settings, WeightsError, knobs
from wan_core.schema.crops import Crops
from wan_core.schema.inputs import MEDIA_FIELDS, InputName
from wan_core.upscaling.shelf import find_upscaler, list_upscalers

_MOST_NAMED = 8  # unknown settings that are called by name

Bring = Callable[[set[InputName]], set[InputName]]
"""Keeps inputs that are not on this machine, if it can; returns those that are here now."""


@dataclass(frozen=True)
class Restored:
    """What a file says, made fit for this machine.

    ``request`` names only what is there, but for a model that can be downloaded. ``missing`` are sentences
    about what is not, ``notes`` about what was found elsewhere or left out.
    """

    request: GenerationRequest
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def restore(path: Path, settings: Settings, weights: WeightStore | None = None) -> Restored:
    """The request in a video, picture, ZIP or folder of frames, or JSON file; its inputs are kept.

    LoRAs are recognised by their content where the file tells it, whatever they are called here: only files
    of the same size are read for that, each once.

    Raises:
        MediaError: the file cannot be read, or holds no request.
        OSError: the disk refuses to keep what it brings along.
    """
    metadata = read_metadata(path)
    values = _request_values(metadata)
    if values is None:
        raise MediaError(f"{path.name} holds no settings of this studio; it was made without them.")
    request, notes = _known_part(values, path.name)
    weights, search = weights or WeightStore(settings), _Search(settings, metadata)
    request, missing_model = search.model(request, weights)
    request, missing_files = search.named_files(request)
    inputs = InputStore(settings.inputs_dir)
    request, missing_inputs = _with_inputs(
        request, inputs, lambda gone: take_embedded(metadata, gone, inputs)
    )
    return Restored(request, (*missing_model, *missing_files, *missing_inputs), (*notes, *search.notes))


def restore_exactly(
    metadata: Mapping[str, Any], settings: Settings, weights: WeightStore, bring: Bring
) -> Restored:
    """The request that ``metadata`` tells of; what is not known is left out and said, what is wrong refused.

    Args:
        bring: keeps those inputs that are not here.

    Raises:
        InvalidRequest: naming the first field at fault.
        OSError: the disk refuses to keep an input.
    """
    values = _request_values(metadata)
    if values is None:
        raise InvalidRequest("request", "there is none", "Save the queue again.")
    known = {key: value for key, value in values.items() if key in GenerationRequest.model_fields}
    request, unknown = GenerationRequest.parse(known), sorted(set(values) - set(known))
    search = _Search(settings, metadata)
    request, missing_model = search.model(request, weights)
    request, missing_files = search.named_files(request)
    request, missing_inputs = _with_inputs(request, InputStore(settings.inputs_dir), bring)
    notes = (*_left_out(unknown), *search.notes)
    return Restored(request, (*missing_model, *missing_files, *missing_inputs), notes)


def _request_values(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request's fields; a JSON file may be nothing but them."""
    values = metadata.get(REQUEST_KEY)
    if values is None and set(metadata) & {"prompt", "task", "model"}:
        values = dict(metadata)
    return values if isinstance(values, dict) else None


def _known_part(values: Mapping[str, Any], name: str) -> tuple[GenerationRequest, tuple[str, ...]]:
    """The request of all values that mean something here, and sentences about the others."""
    known = {key: value for key, value in values.items() if key in GenerationRequest.model_fields}
    unknown, refused = sorted(set(values) - set(known)), []
    while True:
        try:
            request = GenerationRequest.model_validate(known)
            break
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors(include_url=False) if each["loc"]}
            if not wrong & set(known):
                raise MediaError(
                    f"The settings in {name} cannot be used: {error.errors()[0]['msg']}."
                ) from error
            refused += sorted(wrong & set(known))
            known = {key: value for key, value in known.items() if key not in wrong}
    notes = _left_out(unknown)
    if refused:
        notes.append(f"Settings whose values this version does not take were left out: {_listed(refused)}.")
    return request, tuple(notes)


def _left_out(unknown: list[str]) -> list[str]:
    return [f"Settings that this version does not know were left out: {_listed(unknown)}."] if unknown else []


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(name[:40] for name in names[:_MOST_NAMED]) + more


class _Search:
    """Looks for what a file was made with; ``notes`` says what was found under another name."""

    def __init__(self, settings: Settings, metadata: Mapping[str, Any]) -> None:
        told = metadata.get(FILES_KEY)
        self._told: dict[str, Any] = told if isinstance(told, dict) else {}
        self._settings = settings
        self._hashes = FileHashes(settings)
        self.notes: list[str] = []

    # -- the model ------------------------------------------------------------------------------------

    def model(
        self, request: GenerationRequest, weights: WeightStore
    ) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request with a model of this studio, and what is missing of it."""
        if not is_known(request.model):
            other = next((row for row in MODELS.values() if request.task in row.tasks), None)
            chosen = other or next(iter(MODELS.values()))
            told = f"The model {request.model[:80]} is not known here; {chosen.title} was chosen instead."
            return request.model_copy(update={"model": chosen.id}), (told,)
        spec = find_model(request.model)
        try:
            lacking = weights.missing(spec)
            if lacking:
                size = sum(lacking.values())
                if not size and (same := self._same_model(request, weights)):
                    return request.model_copy(update={"model": same}), ()
                remedy = f"{size / 1e9:.1f} GB are to be downloaded" if size else "put its file back"
                return request, (f"{spec.title} is not on this machine; {remedy}.",)
            here = list(transformer_files(weights, spec))
        except WeightsError as error:
            return request, (str(error),)
        if self._differ(here):
            return request, (f"{spec.title} is here in other files than those it was made with.",)
        return request, ()

    def _same_model(self, request: GenerationRequest, weights: WeightStore) -> str | None:
        """The id of a person's own model with the content that was used."""
        wanted = [(size, digest) for size, digest in map(_fact, _items(self._told.get("model"))) if digest]
        for spec in weights.local_models() if wanted else ():
            if request.task not in spec.tasks:
                continue
            with suppress(WeightsError, OSError):
                files = list(transformer_files(weights, spec))
                sizes = sorted(path.stat().st_size for path in files)
                if sizes != sorted(size for size, _ in wanted):
                    continue
                if {self._hashes.digest(path) for path in files} == {digest for _, digest in wanted}:
                    self.notes.append(f"The model's file is here under another name: {spec.title}.")
                    return spec.id
        return None

    def _differ(self, files: Iterable[Path]) -> bool:
        """Whether it is certain, without reading any, that these are other files."""
        wanted = dict(map(_fact, _items(self._told.get("model"))))
        for path in files if wanted else ():
            with suppress(OSError):
                size, known = path.stat().st_size, self._hashes.known(path)
                if size not in wanted or (known and known != wanted[size] and len(wanted) == 1):
                    return True
        return False

    # -- LoRAs and upscaler ----------------------------------------------------------------------------

    def named_files(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request with the LoRAs and the upscaler that are here, and what is to be said of the others."""
        request, loras = self.loras(request)
        request, upscaler = self.upscaler(request)
        return request, (*loras, *upscaler)

    def loras(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request with the LoRAs that are here, by the names that they have here."""
        told = self._told.get("loras")
        kept, missing = [], []
        for use in request.loras:
            found, complaint = self._file(
                _LORA, use.file, told.get(use.file) if isinstance(told, dict) else None
            )
            kept += [use.model_copy(update={"file": found})] if found else []
            missing += [complaint] if complaint else []
        return request.model_copy(update={"loras": tuple(kept)}), tuple(missing)

    def upscaler(self, request: GenerationRequest) -> tuple[GenerationRequest, tuple[str, ...]]:
        """The request with its upscaler, by the name that it has here; without it, it enlarges by Lanczos."""
        if not request.upscaler:
            return request, ()
        found, complaint = self._file(_UPSCALER, request.upscaler, self._told.get("upscaler"))
        return request.model_copy(update={"upscaler": found or ""}), (complaint,) if complaint else ()

    def _file(self, kind: _Kind, wanted: str, told: Any) -> tuple[str | None, str]:
        """The name here of a file that is told of, and what is to be said of it."""
        size, digest = _fact(told)
        is_here = self._path(kind, wanted) is not None
        if not digest:
            return (
                (wanted, "")
                if is_here
                else (None, f"The {kind.word} {wanted} is not in any folder of {kind.word}s.")
            )
        for name in (wanted, *kind.names(self._settings)):
            path = self._path(kind, name)
            with suppress(OSError):
                if path and path.stat().st_size == size and self._hashes.digest(path) == digest:
                    if name != wanted:
                        self.notes.append(f"The {kind.word} {wanted} is here as {name}.")
                    return name, ""
        if is_here:
            return wanted, f"The {kind.word} {wanted} here is another file than the one that was used."
        return None, (
            f"The {kind.word} {wanted} is not in any folder of {kind.word}s, nor is its content "
            f"(SHA-256 {digest[:12]}…) under another name."
        )

    def _path(self, kind: _Kind, name: str) -> Path | None:
        try:
            return kind.find(self._settings, name)
        except InvalidRequest:
            return None


@dataclass(frozen=True)
class _Kind:
    """A kind of file that a request names: what it is called, and where it is looked for."""

    word: str
    find: Callable[[Settings, str], Path]
    names: Callable[[Settings], list[str]]


_LORA = _Kind("LoRA", find_lora, list_loras)
_UPSCALER = _Kind("upscaler", find_upscaler, list_upscalers)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fact(value: Any) -> tuple[int, str]:
    """Bytes and digest of a file as they are told; (-1, "") if that makes no sense."""
    if not isinstance(value, dict):
        return -1, ""
    size, digest = value.get("bytes"), value.get("sha256")
    return (size, digest) if isinstance(size, int) and isinstance(digest, str) else (-1, "")


def _with_inputs(
    request: GenerationRequest, inputs: InputStore, bring: Bring
) -> tuple[GenerationRequest, tuple[str, ...]]:
    """The request without the inputs that are neither here nor in the file."""
    gone = {name for name in request.named_files() if not _is_kept(inputs, name)}
    gone -= bring(gone)
    changes, missing = {}, []
    for field in sorted(MEDIA_FIELDS):
        value = getattr(request, field)
        label = knobs()[field].label
        if isinstance(value, tuple):
            changes[field] = tuple(name for name in value if name not in gone)
            count = len(value) - len(changes[field])
            missing += [f"{label}: {count} of {len(value)} are not on this machine."] if count else []
        elif value in gone:
            changes[field] = None
            missing.append(f"{label}: it is neither on this machine nor in the file; choose it again.")
    if request.crops:
        changes["crops"] = request.crops.without(*(changes.keys() & Crops.model_fields.keys()))
    return request.model_copy(update=changes), tuple(missing)


def _is_kept(inputs: InputStore, name: InputName) -> bool:
    try:
        return inputs.path(name).is_file()
    except MediaError:
        return False

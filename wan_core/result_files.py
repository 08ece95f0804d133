"""The files that a job leaves: the video or picture, its settings, its poster, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wan_core.manager.origins import Origins
from wan_core.media.audio import sound_of
from wan_core.media.embedding import embedded_inputs
from wan_core.media.finishing import Enlarge, finished
from wan_core.media.inputs import InputStore
from wan_core.media.joining import joined_frames
from wan_core.media.metadata import FILES_KEY, request_metadata
from wan_core.media.naming import suffix_of
from wan_core.media.read import probe
from wan_core.media.write import POSTER_SUFFIX, write_clip, write_image, write_poster, write_sidecar
from wan_core.pipelines.settling import repeated_frames
from wan_core.schema import GenerationRequest, MediaError
from wan_core.schema.output import OutputOptions

Metadata = dict[str, Any]


@dataclass(frozen=True)
class Companions:
    """The files beside a result, and sentences about those that could not be written."""

    sidecar: Path | None
    thumbnail: Path | None
    told: tuple[str, ...]


_WITH_SOUND = ("mp4", "webm")
_MOVED_IN_TIME = ("before", "after")
"""Masks whose clip does not begin where the video does."""


def beside(target: Path, request: GenerationRequest, suffix: str = POSTER_SUFFIX) -> Path:
    """The file of the same name with another ending."""
    return target.with_name(f"{target.name.removesuffix(suffix_of(request))}{suffix}")


def metadata_of(
    request: GenerationRequest, origins: Origins, inputs: InputStore
) -> tuple[Metadata, tuple[str, ...]]:
    """What is told in the file or beside it, and sentences about what is not; nothing if nobody wants it.

    Raises:
        MediaError: an input is gone.
    """
    if not (request.embed_metadata or request.sidecar):
        return {}, ()
    metadata, told = request_metadata(request), ()
    if found := origins.found():
        metadata[FILES_KEY] = found
    if request.embed_inputs:
        media, told = embedded_inputs(request, inputs)
        metadata |= media
    return metadata, told


def write_result(
    frames: Iterator[np.ndarray],
    target: Path,
    request: GenerationRequest,
    inputs: InputStore,
    metadata: Metadata,
    enlarge: Enlarge | None = None,
) -> None:
    """Write decoded frames as the request wants them; ``enlarge`` as in ``wan_core.media.finishing``.

    Raises:
        MediaError: ffmpeg or the disk refuses, or an input is gone.
    """
    within = metadata if request.embed_metadata else {}
    if request.task == "t2i":
        (picture,) = finished(frames, request.fps, _of_a_picture(request), target.parent, enlarge)
        write_image(picture[0], target, request.image_format, within)
    else:
        if request.continues:
            before = inputs.path(request.continues)
            frames = joined_frames(before, frames, repeated_frames(request), request.fps, request.fit)
        with _sound(request, inputs, target.parent) as sound:
            write_clip(frames, target, request.fps, request, within, sound, enlarge)


def _of_a_picture(request: GenerationRequest) -> OutputOptions:
    """What is done to a single frame."""
    return OutputOptions(upscale=request.upscale)


def write_companions(
    target: Path, request: GenerationRequest, metadata: Metadata, poster: np.ndarray | None
) -> Companions:
    """Write what stands beside a finished file: its settings, if they are wanted, and its poster.

    A disk that refuses now costs these, not the file that is there.
    """
    sidecar, thumbnail, told = None, None, []
    try:
        if request.sidecar:
            write_sidecar(path := beside(target, request, ".json"), metadata)
            sidecar = path
    except MediaError as error:
        told.append(f"The settings were not written beside it: {error}")
    try:
        if poster is not None:
            write_poster(poster, path := beside(target, request))
            thumbnail = path
    except MediaError as error:
        told.append(f"It has no poster: {error}")
    return Companions(sidecar, thumbnail, tuple(told))


def notes_on(request: GenerationRequest) -> tuple[str, ...]:
    """Sentences about what was asked of the file and had no effect."""
    told: tuple[str, ...] = ()
    if request.upscaler and request.upscale == 1:
        told = (
            "The upscaler drew the frames anew at their own size; set Enlarge to 2 for a larger picture.",
        )
    if request.task != "t2i" and 0 < request.interpolate_fps <= request.fps:
        told += (
            f"The video has {request.fps} frames a second already; none were added to reach "
            f"{request.interpolate_fps}.",
        )
    return told


@contextmanager
def _sound(request: GenerationRequest, inputs: InputStore, folder: Path) -> Iterator[Path | None]:
    """The sound that goes with the video, as a WAV."""
    name = request.continues or request.video
    silent = request.ping_pong or request.video_format not in _WITH_SOUND or not request.keep_audio
    moved = not request.continues and request.mask_builder in _MOVED_IN_TIME
    if silent or moved or name is None:
        yield None
        return
    path = inputs.path(name)
    if request.continues:
        start, seconds = 0.0, probe(path).seconds
    else:
        start, seconds = request.video_start, request.num_frames / request.fps
    try:
        with sound_of(path, start, seconds, folder) as sound:
            yield sound
    except OSError as error:
        raise MediaError(f"{folder} cannot be written to ({error.strerror}); free some space.") from error

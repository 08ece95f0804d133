"""The inputs of a request inside the file that was made from them, as text beside its settings."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wan_core.media.atomic import partial_file
from wan_core.media.inputs import InputStore
from wan_core.media.metadata import MEDIA_KEY
from wan_core.schema import GenerationRequest, MediaError
from wan_core.schema.inputs import InputName

MAX_EMBEDDED = 24 * 2**20  # bytes of all inputs together, before they become text


def embedded_inputs(request: GenerationRequest, inputs: InputStore) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is added to the metadata of a file, and sentences about inputs that are too large for it.

    The smallest go first; all take at most ``MAX_EMBEDDED`` bytes.

    Raises:
        MediaError: an input is gone.
    """
    paths = {name: inputs.path(name) for name in request.named_files()}
    kept: dict[str, str] = {}
    room, told = MAX_EMBEDDED, []
    for name, path in sorted(paths.items(), key=lambda item: (item[1].stat().st_size, item[0])):
        size = path.stat().st_size
        if size <= room:
            kept[name] = base64.b64encode(path.read_bytes()).decode()
            room -= size
        else:
            told.append(
                f"The input {name[:8]} has {size / 2**20:.0f} MiB and was not put into the file; together "
                f"they may have {MAX_EMBEDDED / 2**20:.0f}."
            )
    return {MEDIA_KEY: kept} if kept else {}, tuple(told)


def take_embedded(metadata: Mapping[str, Any], names: set[InputName], inputs: InputStore) -> set[InputName]:
    """Keep the inputs that a file brings along; returns those of ``names`` that came.

    Every one is checked like a file from anywhere else, and is what its name says, or it is left.

    Raises:
        OSError: the disk refuses.
    """
    brought = metadata.get(MEDIA_KEY)
    taken: set[InputName] = set()
    for name in names if isinstance(brought, dict) else ():
        text = brought.get(name)
        if not isinstance(text, str) or len(text) > MAX_EMBEDDED * 4 // 3 + 4:
            continue
        with suppress(binascii.Error, ValueError, MediaError):
            data = base64.b64decode(text, validate=True)
            if hashlib.sha256(data).hexdigest()[:32] == name.partition(".")[0]:
                taken |= {_kept(data, inputs)} & {name}
    return taken


def _kept(data: bytes, inputs: InputStore) -> InputName:
    with partial_file(inputs.folder) as partial:
        partial.write_bytes(data)
        return inputs.keep(Path(partial))

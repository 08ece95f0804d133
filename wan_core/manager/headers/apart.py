"""Headers that are read in a confined process: of formats whose reader a file can keep busy."""

from __future__ import annotations

from pathlib import Path

from wan_core.confined.helpers import HelperDied, HelperLate, Helpers
from wan_core.manager.headers.entry import AGAIN, Format, Header, TensorEntry
from wan_core.schema import WeightsError

SECONDS = 5.0
"""That a header may take on a busy machine; its process is killed after 2 seconds of work."""

_helpers = Helpers("wan_core.manager.headers.header_process", SECONDS)


def read_apart(path: Path, format: Format) -> Header:
    """Names, types and shapes of the tensors of a "gguf" or "pth" file.

    Raises:
        WeightsError: the file is damaged or lies, or its header takes too much memory or time.
    """
    try:
        values = _helpers.ask({"path": str(path.absolute()), "format": format}).values
    except (HelperDied, HelperLate) as error:
        raise WeightsError(
            f"{path} has a damaged header, which takes more memory or time than any Wan model's; {AGAIN}."
        ) from error
    if "refused" in values:
        raise WeightsError(values["refused"])
    tensors = {
        name: TensorEntry(dtype, tuple(shape), nbytes, offset)
        for name, (dtype, shape, nbytes, offset) in values["tensors"].items()
    }
    return Header(format, tensors, values["metadata"])

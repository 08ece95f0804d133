"""What went wrong with a download, in one sentence with the repository, the file and the remedy."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Protocol

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from wan_core.schema import DownloadError


class Repo(Protocol):
    """What an error says about a repository."""

    @property
    def repo(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def official(self) -> bool: ...
    def url(self, name: str) -> str: ...


_KEPT = "what has arrived is kept"
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}

# HTTP status -> what it means, and what to do about it
_STATUS = {
    401: ("the hub asks for a login", "log in with `hf auth login`, or check the repository's name"),
    403: ("the hub grants no access", "accept the model's licence on its page with your account"),
    404: ("the hub has no such file at this revision", "update Wan Studio"),
    416: ("the hub has a shorter file than it said", "start the download again"),
    429: ("the hub takes no more requests for now", f"wait some minutes and start again; {_KEPT}"),
}
_STATUS_OF_GIVEN = _STATUS | {
    404: ("the hub has no such file", "check the address, also which letters are capitals"),
}
"""The same where a person has given the address."""

_OUT_OF_ORDER = ("the hub is out of order", f"start again later; {_KEPT}")
_REFUSED = ("the hub refuses the request", "update Wan Studio")


def explain(error: Exception, repo: Repo, name: str, folder: Path) -> DownloadError:
    """The sentence for an exception of the hub's library, the network or the disk."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        known = _STATUS if repo.official else _STATUS_OF_GIVEN
        problem, remedy = known.get(status) or (_OUT_OF_ORDER if status >= 500 else _REFUSED)
        if not repo.official:
            return DownloadError(
                f"{repo.repo}: {name} could not be downloaded: {problem} ({status}); {remedy}."
            )
        return DownloadError(
            f"{repo.repo}: {name} could not be downloaded: {problem} ({status}); {remedy}, "
            f"or copy the official files to {folder}."
        )
    if isinstance(error, OSError) and not isinstance(error, OfflineModeIsEnabled):
        if error.errno == errno.EFBIG:
            return DownloadError(
                f"{repo.repo}: the disk of {folder} takes no file as large as {name}; "
                f"set WAN_STUDIO_HOME to another disk and start again; {_KEPT}."
            )
        if error.errno in _FULL:
            return DownloadError(
                f"{repo.repo}: the disk of {folder} became full while {name} was downloaded; "
                f"free some space and start again; {_KEPT}."
            )
        return DownloadError(
            f"{repo.repo}: {name} cannot be written to {folder} ({error.strerror or error}); "
            "set WAN_STUDIO_HOME to a folder that you may write to."
        )
    host = repo.url(name).split("/")[2]
    if not repo.official:
        return DownloadError(
            f"{repo.repo}: {name} could not be downloaded: the connection to {host} failed "
            f"({type(error).__name__}); check the network, or set HF_ENDPOINT to a mirror; {_KEPT}."
        )
    return DownloadError(
        f"{repo.repo}: {name} could not be downloaded: the connection to {host} failed "
        f"({type(error).__name__}); check the network, set HF_ENDPOINT to a mirror, "
        f"or copy the official files to {folder}; {_KEPT}."
    )


def no_hub(repo: Repo, name: str) -> DownloadError:
    """Something answered, but no hub."""
    host = repo.url(name).split("/")[2]
    return DownloadError(
        f"{repo.repo}: {host} answered a request for {name} without its size and digest, so it is no "
        "Hugging Face hub; check HF_ENDPOINT and the network's login page."
    )


def wrong_bytes(repo: Repo, name: str) -> DownloadError:
    """The digest of what arrived is not the one that was promised."""
    return DownloadError(
        f"{repo.repo}: what arrived for {name} is not the file of revision {repo.revision} (its digest "
        "differs) and was thrown away; start the download again."
    )


def not_enough_disk(repo: str, needed: int, free: int, folder: Path) -> DownloadError:
    """The disk would become too full."""
    return DownloadError(
        f"{repo}: {needed / 1e9:.1f} GB are still to be downloaded and a tenth more must stay free, but "
        f"{folder} has only {free / 1e9:.1f} GB; free some space, or set WAN_STUDIO_HOME to another disk."
    )


def too_large(repo: str, size: int, most: int) -> DownloadError:
    """What was asked for is larger than such files are."""
    return DownloadError(
        f"{repo} has a file of {size / 1e9:.1f} GB there, and a LoRA has at most {most / 1e9:.1f} GB; whole "
        "models go into a folder of models."
    )

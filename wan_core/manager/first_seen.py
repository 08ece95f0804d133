"""What a repository was when files of it were first fetched, kept with the files: trust on first use.

For some repositories the catalog knows no commit, so they are asked for their newest. From the first file on,
the commit that it came from is the one that all others come from, and what the hub called the content of a
file is what its bytes are compared with later, whatever the repository holds by then.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

NAME = ".first-seen.json"
_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class FirstSeen:
    """``commit`` of a repository, empty where nothing is known; ``etags`` by file name."""

    commit: str = ""
    etags: dict[str, str] = field(default_factory=dict)

    def sha256(self, name: str) -> str:
        """Of a file, as the hub told it then; empty where it told none, as of small files."""
        etag = self.etags.get(name, "")
        return etag if _SHA256.fullmatch(etag) else ""


def is_loose(revision: str) -> bool:
    """Whether a revision is another one from time to time."""
    return revision == "main"


def recall(folder: Path, repo: str) -> FirstSeen:
    """What was seen of a repository whose files are in ``folder``; a damaged note is none."""
    found = _read(folder).get(repo)
    if not isinstance(found, dict):
        return FirstSeen()
    commit, etags = found.get("commit"), found.get("etags")
    if not (isinstance(commit, str) and _COMMIT.fullmatch(commit) and isinstance(etags, dict)):
        return FirstSeen()
    return FirstSeen(commit, {name: etag for name, etag in etags.items() if isinstance(etag, str)})


def note(folder: Path, repo: str, commit: str, etags: dict[str, str]) -> None:
    """Remember a commit and what the hub calls some files; what was seen before stays.

    Raises:
        OSError: the disk refuses.
    """
    if not _COMMIT.fullmatch(commit):
        return
    before = recall(folder, repo)
    seen = FirstSeen(before.commit or commit, {**etags, **before.etags})
    if seen != before:
        _write(folder, {**_read(folder), repo: asdict(seen)})


def forget(folder: Path, repo: str, names: Iterable[str]) -> None:
    """Begin anew where nothing is left of what was fetched: neither a file nor a part of one."""
    names = {*names, *recall(folder, repo).etags}
    if any((folder / name).exists() or _parts(folder / name) for name in names):
        return
    known = _read(folder)
    if known.pop(repo, None) is not None:
        _write(folder, known)


def _parts(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.*.part"))


def _read(folder: Path) -> dict[str, object]:
    with suppress(OSError, ValueError, RecursionError), (folder / NAME).open("rb") as file:
        found = json.loads(file.read(_MOST_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def _write(folder: Path, known: dict[str, object]) -> None:
    partial = folder / f"{NAME}.new"
    partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
    os.replace(partial, folder / NAME)

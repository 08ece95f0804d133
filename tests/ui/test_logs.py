"""The log stays small and holds no secrets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ui.serving import logs


@pytest.fixture(autouse=True)
def as_before() -> None:
    root = logging.getLogger()
    handlers, raising = list(root.handlers), logging.raiseExceptions
    formatters = [handler.formatter for handler in handlers]
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    for handler, formatter in zip(handlers, formatters, strict=True):
        handler.setFormatter(formatter)
    logging.raiseExceptions = raising


@pytest.mark.parametrize(
    "secret",
    [
        "hf_abcdefghijklmnop",
        "sk-abcdefghijkl",
        "Authorization: Bearer abc.def-ghi",
        "https://host/?token=abc123&x=1",
        "password=correct-horse",
        "https://ann:correct-horse@host/",
        "wan-studio-visitor=" + "a" * 43,
        "file=made/" + "0123456789" * 4 + "/outputs/a.mp4",
        "my-own-password",
    ],
)
def test_secrets_are_left_out(tmp_path: Path, secret: str) -> None:
    path = logs.keep_log(tmp_path, ("my-own-password",))
    logging.getLogger("a").error("Asked with %s and more", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("a").exception("It failed")
    text = path.read_text()
    for part in ("abcdefgh", "abc.def", "abc123", "correct-horse", "a" * 43, "0123456789" * 4, "my-own"):
        assert part not in text
    assert text.count("[secret]") >= 2 and "and more" in text


def test_the_log_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MOST_BYTES", 2000)
    logs.keep_log(tmp_path)
    for number in range(500):
        logging.getLogger("a").error("line %d", number)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 5 and max(sizes) <= 2000
    assert "line 499" in (tmp_path / "studio.log").read_text()

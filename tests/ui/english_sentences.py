"""What the code below the page words in English for a person, found in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from wan_core.schema import errors, knobs
from wan_core.schema.settings import setting_knobs

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = (
    *("wan_core/cli", "wan_core/api.py", "wan_core/training", "wan_core/bench", "wan_core/failpoints.py"),
    *("wan_core/prompts/instructions.py", "ui/serving/", "ui/strings/"),
)
"""Never on the page: the command line, what a language model is told, what the server answers to programs."""

WORDED = (
    "wan_core/manager/plan_words.py",
    "wan_core/manager/plan_work.py",
    "wan_core/schema/plan.py",
    "wan_core/manager/download_errors.py",
    "wan_core/manager/download.py",
    "wan_core/rescue.py",
    "wan_core/jobs/supervisor.py",
    "wan_core/jobs/executors.py",
    "wan_core/lora/fitting.py",
    "wan_core/manager/restoring.py",
)
"""Files whose phrases, too, become part of a sentence on the page."""

UNITS = {"{}: {} of {}", "{}: {} GiB", "{} GiB", "{} GB", "{} MB", "signal {}", "at once"}
"""Phrases of these files that are alike in every language, or never shown."""

ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
}
REASONS = {"ValueError", "Misfit", "_Newer", "_Damaged", "_UnreadType"}
"""Their words stand in brackets within a sentence."""

REASONED = ("wan_core/manager/", "wan_core/lora/", "wan_core/schema/", "wan_core/jobs/")
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
_NAMED = {"Knob", "SettingKnob"}
_FEWEST_WORDS = 3


def template(node: ast.AST) -> str | None:
    """The text of an expression with ``{}`` for each value; None where it is not written there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        return "".join(parts).replace("{{}}", "{}")
    return None


def sentences() -> set[str]:
    """Everything that an error is made of, what else ends like a sentence, and phrases put into these."""
    found: set[str] = set()
    for file in [*(ROOT / "wan_core").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        name = str(file.relative_to(ROOT))
        if not name.startswith(ELSEWHERE):
            words = _words(ast.parse(file.read_text(encoding="utf-8")), name.startswith(REASONED), "")
            found |= {text for text, role in words if _is_told(text, role, name in WORDED)}
    helps = {knob.help for knob in (*knobs().values(), *setting_knobs().values())}
    return {text.strip(",; ") for text in found - helps if any(map(str.isalpha, text.replace("{}", "")))}


def _is_told(text: str, role: str, is_worded: bool) -> bool:
    if (role or is_worded) and " " in text.strip() and text not in UNITS:
        return True
    return text.endswith(".") and len(text.split()) >= _FEWEST_WORDS


def _words(node: ast.AST, is_reasoned: bool, role: str) -> Iterator[tuple[str, str]]:
    """(text, the error that it is given to) of all texts but docstrings and what is logged."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if (text := template(node)) is not None:
        yield text, role
        values = node.values if isinstance(node, ast.JoinedStr) else []
        for part in (part.value for part in values if isinstance(part, ast.FormattedValue)):
            yield from ((words, "") for words, _ in _words(part, is_reasoned, ""))
        return
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if called in _NAMED or (isinstance(node.func, ast.Attribute) and called in _LOGGING):
            return
        if called in ERRORS or (is_reasoned and called in REASONS):
            for part in node.args[1:] if called == "InvalidRequest" else node.args:
                yield from _words(part, is_reasoned, called)
            return
    for part in ast.iter_child_nodes(node):
        yield from _words(part, is_reasoned, role)

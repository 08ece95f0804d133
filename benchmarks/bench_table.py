"""Writes the table of the bench into ``docs/performance.md``, from what the bench has kept.

``python -m benchmarks.bench_table`` after the bench has run; the text around the table is a person's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.report import saved
from wan_core.bench.cases import COMPILED, OURS, THEIRS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- bench: written by benchmarks.bench_table -->\n", "<!-- /bench -->\n"

_WORDS = {
    "dit-bf16-560": "transformer, bf16, 560 tokens",
    "dit-bf16-1950": "transformer, bf16, 1950 tokens",
    "dit-fp32-560": "transformer, fp32, 560 tokens",
    "dit-fp32-1950": "transformer, fp32, 1950 tokens",
    "step-bf16-560": "a step with guidance, bf16, 560 tokens",
    "vae-bf16": "VAE, bf16, 17 frames of 128×128",
    "vae-fp32": "VAE, fp32, the same",
    "umt5-bf16": "umT5, bf16, 2 blocks, 77 tokens",
    "umt5-fp32": "umT5, fp32, the same",
    "load": "loading a transformer of 0.4 GB",
    "demo": "a demo clip from prompt to file",
}
_HEADING = (
    "| what | ours, s | diffusers | compiled | times as fast | as compiled | target | of the matrix rate "
    "| MiB, ours | diffusers |\n|---|" + "---:|" * 9 + "\n"
)


def table(cases: dict[str, Any]) -> str:
    """Rows of Markdown, in the order of the bench; a case that was not measured has none."""
    return _HEADING + "".join(_row(words, cases[name]) for name, words in _WORDS.items() if name in cases)


def _row(words: str, case: dict[str, Any]) -> str:
    seconds, ratios, peaks = case["seconds"], case.get("ratios", {}), case.get("peak_mib", {})
    share, target = case.get("share_of_matrix_rate"), case.get("target")
    missed = ", missed" if target and ratios.get(THEIRS, target) < target else ""
    cells = [
        *(f"{seconds[who]['cpu']:.3g}" if who in seconds else "" for who in (OURS, THEIRS, COMPILED)),
        *(f"{ratios[who]:.2f}" if who in ratios else "" for who in (THEIRS, COMPILED)),
        f"{target:g}{missed}" if target else "",
        f"{share:.0%}" if share else "",
        *(str(peaks[who]) if peaks.get(who) else "" for who in (OURS, THEIRS)),
    ]
    return f"| {' | '.join([words, *cells])} |\n"


def written(page: str, rows: str) -> str:
    """``page`` with ``rows`` between its two marks.

    Raises:
        ValueError: a mark is not there.
    """
    before, after = page.index(BEGIN) + len(BEGIN), page.index(END)
    return page[:before] + rows + page[after:]


def main() -> None:
    """Replace the table by that of this machine."""
    rows = table(saved("bench")["cases"])
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()

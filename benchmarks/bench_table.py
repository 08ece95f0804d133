"""Writes the tables of the bench into ``docs/performance.md``, from what it has kept of each machine.

``python -m benchmarks.bench_table`` after the bench has run; the text around the tables is a person's, and so
are the marks that say which machine's goes where.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS
from wan_core.bench.cases import OURS
from wan_core.bench.peers import PEERS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_PLACE = re.compile(
    r"(<!-- (bench-[a-z0-9-]+): written by benchmarks\.bench_table -->\n).*?(<!-- /bench -->\n)", re.S
)
"""From a mark with the name of a file of results to its end."""

_WORDS = {
    "dit-bf16-560": "transformer, bf16, 560 tokens",
    "dit-bf16-1950": "transformer, bf16, 1950 tokens",
    "dit-fp32-560": "transformer, fp32, 560 tokens",
    "dit-fp32-1950": "transformer, fp32, 1950 tokens",
    "step-bf16-560": "a step with guidance, bf16, 560 tokens",
    "vae-bf16": "VAE, bf16, 17 frames of 128×128",
    "vae-bf16-256": "VAE, bf16, 9 frames of 256×256",
    "vae-fp32": "VAE, fp32, 17 frames of 128×128",
    "umt5-bf16": "umT5, bf16, 2 blocks, 77 tokens",
    "umt5-fp32": "umT5, fp32, the same",
    "load": "loading a transformer of 0.4 GB",
    "demo": "a demo clip from prompt to file",
}
_PEERS = [who for peer in PEERS.values() for who in (peer.name, peer.compiled)]


def table(cases: dict[str, Any]) -> str:
    """Rows of Markdown, in the order of the bench, and what is to be said of them.

    A case that was not measured has no row, and who took no part no column. A peer's cell holds its seconds
    and how many times as fast we are.
    """
    rows = {name: cases[name] for name in _WORDS if name in cases}
    timed = [who for who in _PEERS if any(who in case["seconds"] for case in rows.values())]
    weighed = [
        who for who in (OURS, *PEERS) if any(who in case.get("peak_mib", {}) for case in rows.values())
    ]
    headings = ["what", "ours, s", *timed, "target", "of the matrix rate"]
    headings += [f"MiB, {who}" for who in weighed]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    lines += [_cells(_WORDS[name], case, timed, weighed) for name, case in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + _remarks(rows)


def _cells(words: str, case: dict[str, Any], timed: list[str], weighed: list[str]) -> list[str]:
    seconds, ratios, peaks = case["seconds"], case.get("ratios", {}), case.get("peak_mib", {})
    share, target = case.get("share_of_matrix_rate"), case.get("target")
    return [
        words,
        f"{seconds[OURS]['cpu']:.3g}",
        *(f"{seconds[who]['cpu']:.3g} ({ratios[who]:.2f}×)" if who in seconds else "" for who in timed),
        f"{target:g}{_missed(ratios, target)}" if target else "",
        f"{share:.0%}" if share else "",
        *(str(peaks[who]) if peaks.get(who) else "" for who in weighed),
    ]


def _missed(ratios: dict[str, float], target: float) -> str:
    """Beside whom a target is missed; it is set for peers that are not compiled."""
    plain = [who for who in PEERS if who in ratios]
    behind = [who for who in plain if ratios[who] < target]
    if behind == plain:
        return ", missed" if plain else ""
    return f", missed beside {' and '.join(behind)}" if behind else ""


def _remarks(rows: dict[str, Any]) -> str:
    """How far results are apart, and why somebody has no figure."""
    apart = {
        words: [far for name in rows if kind in name for far in rows[name].get("differences", {}).values()]
        for kind, words in (("fp32", "float32"), ("bf16", "bfloat16"))
    }
    said = [f"{max(found):.1e} in {words}" for words, found in apart.items() if found]
    lines = [f"Results differ from ours by at most {' and '.join(said)}."] if said else []
    lines += [f"{_WORDS[name]}: {note}" for name, case in rows.items() for note in case.get("notes", ())]
    return "".join(f"\n{line}\n" for line in lines)


def written(page: str, results: Path = RESULTS) -> str:
    """``page`` with a table between each two marks.

    Raises:
        ValueError: it has no marks.
        OSError: there are no results of that name.
    """

    def renewed(place: re.Match[str]) -> str:
        kept = json.loads((results / f"{place[2]}.json").read_text(encoding="utf-8"))
        return place[1] + table(kept["cases"]) + place[3]

    page, count = _PLACE.subn(renewed, page)
    if not count:
        raise ValueError("The page has no mark <!-- bench-<device>: written by benchmarks.bench_table -->.")
    return page


def main() -> None:
    """Renew the tables."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

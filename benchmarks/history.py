"""How fast a long history is: opening, searching, paging, and drawing the page in Chromium.

``python -m benchmarks.history --entries 10000`` fills a store of its own and saves the medians, in
milliseconds, to ``results/history-<device>.json``. ``--browser`` also opens the page.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.report import save
from ui.context import Context
from ui.serving import server
from ui.studio import build
from ui.tabs.history import PAGE, Doors
from wan_core.jobs.executors import InlineExecutor
from wan_core.jobs.past import Search
from wan_core.jobs.recovery import recover
from wan_core.jobs.store import JobStore
from wan_core.jobs.words import Words
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.media.moving import moving_path
from wan_core.media.write import write_poster, write_video
from wan_core.schema import GenerationRequest, GenerationResult, Settings

_RUNS = 21
_WORDS = (
    *("fox", "boat", "street", "lighthouse", "storm", "cat", "window", "river", "mountain", "snow", "train"),
    *("bird", "forest", "city", "night", "rain", "market", "dancer", "horse", "desert", "balloon", "garden"),
    *("waterfall", "bridge", "violin", "robot", "kitchen", "old", "young", "red", "blue"),
)
_MORE = ("狐狸在雪地里奔跑", "城市的夜晚，下着雨", "灯塔和海浪")
_SEARCHES = {
    "everything": Search(),
    "a frequent word": Search(words="fox"),
    "three words": Search(words="fox boat snow"),
    "a rare word": Search(words="needle"),
    "no hit": Search(words="nothing-has-this"),
    "two Chinese characters": Search(words="灯塔"),
    "favourites": Search(favourites=True),
    "a tag": Search(tag="animals"),
    "a model": Search(model="demo"),
    "a week": Search(since=1.75e9, until=1.75e9 + 7 * 86_400),
    "all of it": Search(words="fox", model="demo", favourites=True, since=1.74e9),
}


def fill(store: JobStore, settings: Settings, entries: int) -> None:
    """Results of a long time, with pictures on the disk and 60 words in each prompt."""
    dice = random.Random(0)
    settings.outputs_dir.mkdir(parents=True)
    frames = np.zeros((5, 96, 160, 3), np.uint8)
    video = settings.outputs_dir / "one.mp4"
    write_video([frames], video, 16, 18, {})
    poster = settings.outputs_dir / "one.webp"
    write_poster(frames[0], poster)
    for number in range(entries):
        words = [dice.choice(_WORDS) for _ in range(60)]
        if number % 10 == 0:
            words.append(dice.choice(_MORE))
        if number == entries // 2:
            words.append("needle")
        request = GenerationRequest(prompt=" ".join(words), seed=number, width=160, height=96, num_frames=5)
        own = settings.outputs_dir / f"{number:06}.mp4"
        picture = own.with_suffix(".poster.webp")
        for path, source in ((own, video), (picture, poster), (moving_path(own), poster)):
            path.hardlink_to(source)
        result = GenerationResult(
            video=own, thumbnail=picture, request=request, seconds={"denoise": 1.0}, peak_bytes=0
        )
        job_id = store.adopt(result, 1.7e9 + number * 10_000)
        if number % 20 == 0:
            store.star(job_id, True)
        if number % 25 == 0:
            store.tag(job_id, ["animals", "snow"])


def median(work: Callable[[], Any]) -> float:
    """Milliseconds of ``work``, after one run that does not count."""
    work()
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times), 3)


def queries(store: JobStore) -> dict[str, dict[str, float]]:
    """A page and the count of each search."""
    return {
        name: {
            "found": store.count(search),
            "page_ms": median(lambda search=search: store.history(search, PAGE + 1)),
            "count_ms": median(lambda search=search: store.count(search)),
        }
        for name, search in _SEARCHES.items()
    }


def measure(context: Context, entries: int) -> dict[str, Any]:
    """All but the browser."""
    store, doors = context.store, Doors(context)
    jobs = store.history(Search(), entries)
    middle = jobs[len(jobs) // 2]
    known = doors.look({})["revision"]
    plain = JobStore(store.path)
    plain._words = Words(plain._database, indexed=False)
    report = {
        "searches": queries(store),
        "searches_without_an_index": queries(plain),
        "page_in_the_middle_ms": median(
            lambda: store.history(Search(), PAGE + 1, (middle.finished, middle.sequence))
        ),
        "what_the_page_asks_ms": {
            "nothing has changed": median(lambda: doors.look({"known": known})),
            "first page, as HTML": median(lambda: doors.look({})),
            "a search, as HTML": median(lambda: doors.look({"search": {"words": "fox snow"}})),
            "240 cards, as HTML": median(lambda: doors.look({"shown": 240})),
        },
        "opening_the_store_ms": median(lambda: JobStore(store.path).close()),
        "star_ms": median(lambda: store.star(middle.id, True)),
        "delete_and_undo_ms": median(lambda: (store.delete(middle.id), store.undelete(middle.id))),
        "looking_for_lost_files_ms": median(lambda: recover(store, context.settings.outputs_dir)),
        "store_mib": round(store.path.stat().st_size / 2**20, 1),
    }
    plain.close()
    return report


def in_the_browser(context: Context) -> dict[str, float]:
    """From the click to what is drawn; the median of 5."""
    context.executor.start()
    blocks = build(context)
    address = server.launch(blocks, context.settings, server.Access())
    steps: dict[str, tuple[Callable[[Page], Any], int]] = {
        "tab to first cards": (lambda page: page.get_by_role("tab", name="Queue & History").click(), PAGE),
        "24 more cards": (lambda page: page.click("#history [data-does=more]"), 2 * PAGE),
        "search to its cards": (lambda page: page.fill("#history [type=search]", "needle"), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(5):
            page = chromium.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            page.wait_for_selector(".preflight .facts")
            for name, (act, count) in steps.items():
                start = time.perf_counter()
                act(page)
                page.wait_for_function(
                    f"document.querySelectorAll('#history .card').length === {count}", polling=10
                )
                times[name].append((time.perf_counter() - start) * 1000)
            page.close()
        chromium.close()
    blocks.close()
    context.executor.stop()
    return {name: round(statistics.median(values)) for name, values in times.items()}


def main() -> None:
    """Fill, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--browser", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), offline=True)
        executor = InlineExecutor(settings, _never)
        weights = WeightStore(settings, hub_cache=Path(folder) / "hub")
        context = Context(executor, Errands(weights), KeptSettings(settings))
        start = time.perf_counter()
        fill(context.store, settings, options.entries)
        report = {"entries": options.entries, "adding_ms_each": _each(start, options.entries)}
        report |= measure(context, options.entries)
        if options.browser:
            report["browser_ms"] = in_the_browser(context)
        save("history", report)


def _each(start: float, entries: int) -> float:
    return round((time.perf_counter() - start) * 1000 / entries, 3)


def _never(job: object, emit: object) -> GenerationResult:
    raise AssertionError("nothing is to be made")


if __name__ == "__main__":
    main()

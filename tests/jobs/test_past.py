"""The history: searching, marking, deleting and undoing, and finding results again."""

import itertools
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.conftest import request
from tests.jobs.test_store import result_of
from wan_core.jobs.job import JobStatus
from wan_core.jobs.past import MAX_TAGS, Search
from wan_core.jobs.recovery import recover
from wan_core.jobs.store import JobStore
from wan_core.jobs.words import Words
from wan_core.media.metadata import request_metadata
from wan_core.media.moving import moving_path, write_moving
from wan_core.media.write import write_clip, write_image, write_sidecar, write_video
from wan_core.schema import GenerationRequest, Settings
from wan_core.schema.output import SUFFIXES, OutputOptions

PROMPTS = ("A red fox runs", "a Blue WHALE", "100% of a fox_trot", "一只红色的狐狸在雪地里奔跑")


def make(store: JobStore, settings: Settings, prompt: str, **fields: object) -> str:
    """A finished job."""
    job_id = store.submit(request(prompt, **fields))
    store.claim()
    store.finish(job_id, result_of(settings, job_id))
    return job_id


def found(store: JobStore, **search: object) -> list[str]:
    wanted = Search(**search)
    jobs = store.history(wanted, 100)
    assert store.count(wanted) == len(jobs)
    return [job.request.prompt for job in jobs]


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("", [3, 2, 1, 0]),
        ("FOX", [2, 0]),
        ("fox red", [0]),
        ('"red fox"', [0]),
        ('"fox red"', []),
        ("whale", [1]),
        ("狐狸", [3]),
        ("雪地里奔跑", [3]),
        ("100%", [2]),
        ("%", [2]),
        ("x_t", [2]),
        ("x'; DROP TABLE jobs", []),
        ("demo", [3, 2, 1, 0]),
    ],
)
def test_words_are_found_with_and_without_an_index(
    store: JobStore, settings: Settings, indexed: bool, words: str, numbers: list[int]
) -> None:
    for prompt in PROMPTS:
        make(store, settings, prompt)
    store._words = Words(store._database, indexed)
    assert store._words.is_indexed == indexed
    assert found(store, words=words) == [PROMPTS[number] for number in numbers]


@pytest.mark.parametrize("indexed", [True, False])
def test_words_are_found_in_other_titles_of_models(
    store: JobStore, settings: Settings, indexed: bool
) -> None:
    store._words = Words(store._database, indexed)
    for prompt in PROMPTS[:2]:
        make(store, settings, prompt)
    assert found(store, words="演示模型") == []
    titles = {"demo": "演示模型", "demo-image": "图生视频演示模型"}
    assert found(store, words="演示", titles=titles) == [PROMPTS[1], PROMPTS[0]]
    assert found(store, words="演示 whale", titles=titles) == [PROMPTS[1]]
    assert found(store, words="图生", titles=titles) == []


def test_what_is_replaced_is_found_by_its_new_words(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request("before"))
    store.replace(job_id, request("after"))
    store.cancel(job_id)
    assert found(store, words="before") == [] and found(store, words="after") == ["after"]


def test_a_template_is_found_by_the_words_that_it_drew(store: JobStore, settings: Settings) -> None:
    job_id = store.submit(request("a {red|green} fox"))
    store.claim()
    result = result_of(settings, job_id)
    drawn = result.request.model_copy(update={"prompt": "a green fox"})
    store.finish(job_id, result.model_copy(update={"request": drawn}))
    assert store.get(job_id).made.prompt == "a green fox"
    assert found(store, words='"green fox"') == ["a {red|green} fox"]
    assert found(store, words="red") == []


def test_the_history_is_read_in_pages_by_model_date_star_and_tag(store: JobStore, settings: Settings) -> None:
    ids = [make(store, settings, str(number)) for number in range(5)]
    times = [1000.0, 2000.0, 3000.0, 3000.0, 4000.0]
    for job_id, finished in zip(ids, times, strict=True):
        store._database.connection().execute("UPDATE jobs SET finished = ? WHERE id = ?", (finished, job_id))
    assert store.star(ids[1], True) and store.star(ids[3], True) and not store.star("nobody", True)
    assert store.tag(ids[3], [" Cat  video ", "cat video", "", "狐狸"]) and store.tag(ids[4], ["cat"])
    first = store.history(Search(), 2)
    second = store.history(Search(), 2, (first[-1].finished, first[-1].sequence))
    third = store.history(Search(), 2, (second[-1].finished, second[-1].sequence))
    assert [job.id for job in itertools.chain(first, second, third)] == ids[::-1]
    assert found(store, since=2000.0, until=4000.0) == ["3", "2", "1"]
    assert found(store, favourites=True) == ["3", "1"]
    assert found(store, tag="cat") == ["4"] and found(store, tag="cat video") == ["3"]
    assert found(store, words="狐狸") == ["3"] and found(store, words="cat", favourites=True) == ["3"]
    assert found(store, model="demo", favourites=True) == ["3", "1"] and found(store, model="other") == []
    assert store.models() == ["demo"] and store.tags() == ["cat", "cat video", "狐狸"]
    assert store.get(ids[3]).tags == ("cat video", "狐狸") and store.get(ids[3]).favourite
    store.tag(ids[3], [f"t{number}" for number in range(99)])
    assert len(store.get(ids[3]).tags) == MAX_TAGS


def test_a_deletion_is_undone_until_it_is_carried_out(store: JobStore, settings: Settings) -> None:
    kept, gone = make(store, settings, "kept"), make(store, settings, "gone")
    waiting = store.submit(request("waiting"))
    for job_id in (kept, gone, waiting):
        assert store.delete(job_id)
    assert found(store) == [] and store.queue() == [] and store.claim() is None
    assert store.counts()[JobStatus.DONE] == 0 and store.list() == []
    assert store.undelete(kept) and store.undelete(waiting) and not store.undelete("nobody")
    assert found(store) == ["kept"] and [job.id for job in store.queue()] == [waiting]
    moving = moving_path(store.get(kept).result.video)
    moving.touch()
    store.delete(kept)
    assert store.purge(60.0) == 0
    assert store.purge(0.0) == 2 and not store.undelete(gone)
    assert list(settings.outputs_dir.iterdir()) == []
    assert found(store, words="kept") == []


def test_results_that_the_database_lost_are_found_again(settings: Settings) -> None:
    frames = np.zeros((5, 32, 48, 3), np.uint8)
    frames[:, :, :20] = 200
    made = GenerationRequest(prompt="a lost fox", seed=5, num_frames=5)
    outputs = settings.outputs_dir
    outputs.mkdir()
    write_video([frames], outputs / "lost.mp4", 16, 18, request_metadata(made))
    write_image(frames[0], outputs / "picture.png", "png", request_metadata(made))
    write_video([frames], outputs / "foreign.mp4", 16, 18, {})
    (outputs / "broken.mp4").write_bytes(b"no video")
    folder = outputs / "frames"
    folder.mkdir()
    write_image(frames[0], folder / "frame_00001.png", "png", request_metadata(made))
    write_sidecar(folder / "settings.json", request_metadata(made))
    store = JobStore(settings.store_path)
    assert recover(store, outputs) == 3
    assert recover(store, outputs) == 0
    video = next(job for job in store.history(Search(), 10) if job.result.video.suffix == ".mp4")
    assert (video.status, video.request, video.result.video) == (JobStatus.DONE, made, outputs / "lost.mp4")
    assert video.result.thumbnail.is_file()
    assert video.finished == pytest.approx((outputs / "lost.mp4").stat().st_mtime)
    assert found(store, words="lost fox") == ["a lost fox"] * 3
    assert {job.result.video.name for job in store.history(Search(), 10)} == {
        *("lost.mp4", "picture.png", "frames")
    }
    assert store.estimate_seconds(made) is None  # nobody measured it
    store.delete(video.id)
    assert recover(store, outputs) == 0  # nor is a deleted one taken back
    store.close()


def test_a_home_that_was_moved_keeps_its_history(tmp_path: Path) -> None:
    before, after = Settings(home=tmp_path / "before"), Settings(home=tmp_path / "after")
    store = JobStore(before.store_path)
    job_id = make(store, before, "moved")
    store.close()
    shutil.move(before.home, after.home)
    store = JobStore(after.store_path)
    assert recover(store, after.outputs_dir) == 0
    result = store.get(job_id).result
    assert result.video.is_file() and result.video.parent == after.outputs_dir
    assert result.thumbnail.is_file()
    store.close()


def test_a_moving_thumbnail_is_small_and_shows_all_of_the_video(tmp_path: Path) -> None:
    from PIL import Image

    frames = np.zeros((81, 320, 480, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, : 1 + number * 5] = (250, 40, 40)
    video = tmp_path / "a.mp4"
    write_video([frames], video, 16, 18, {})
    path = write_moving(video)
    with Image.open(path) as picture:
        assert picture.size == (240, 160) and 20 <= picture.n_frames <= 24
        assert picture.info["loop"] == 0
        duration = 0
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            duration += picture.info["duration"]
        assert duration == pytest.approx(81 / 16 * 1000, rel=0.1)
        assert picture.convert("RGB").getpixel((180, 80))[0] > 200  # the end of the video
    still = tmp_path / "b.png"
    write_image(frames[0], still, "png", {})
    assert write_moving(still) is None


@pytest.mark.parametrize("kind", ["png", "png-folder"])
def test_frames_in_a_zip_or_a_folder_have_a_moving_thumbnail(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    frames = np.zeros((49, 160, 240, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, : 1 + number * 5] = (250, 40, 40)
    made = tmp_path / f"a{SUFFIXES[kind]}"
    write_clip([frames], made, 16, OutputOptions(video_format=kind), {})
    path = write_moving(made)
    assert path == tmp_path / "a.moving.webp"
    with Image.open(path) as picture:
        assert picture.size == (240, 160) and picture.n_frames == 17  # every third
        picture.seek(16)
        assert picture.convert("RGB").getpixel((230, 80))[0] > 200  # the last frame


def test_tags_of_another_hand_do_no_harm(store: JobStore, settings: Settings) -> None:
    job_id = make(store, settings, "x")
    for text in ("no json", json.dumps({"a": 1}), json.dumps([1, "cat"])):
        store._database.connection().execute("UPDATE jobs SET tags = ? WHERE id = ?", (text, job_id))
        assert store.get(job_id).tags == (("cat",) if "cat" in text else ())
    assert store.tags() == ["cat"] and time.time() - store.get(job_id).finished < 60

"""Where windows lie and what they count, in exact numbers."""

from __future__ import annotations

import itertools

import pytest

from wan_core.acceleration.windows import frames_seen, radical_inverse, windows_move, windows_of
from wan_core.schema.windows import WindowOptions

SCHEDULES = ("static", "uniform", "looped", "sliding", "uniform stride=16", "looped stride=16")


def options(text: str, own: int = 17) -> WindowOptions:
    return WindowOptions.read(text).settled(own)


def placed(text: str, total: int, step: int = 0) -> list[list[int]]:
    return [list(window.frames) for window in windows_of(options(text), total, step)]


def test_static_windows_begin_every_size_less_overlap_and_the_last_ends_with_the_clip() -> None:
    assert placed("static frames=17 overlap=8", 12) == [
        [0, 1, 2, 3, 4],
        [3, 4, 5, 6, 7],
        [6, 7, 8, 9, 10],
        [7, 8, 9, 10, 11],
    ]
    assert placed("static frames=17 overlap=8", 12, step=5) == placed("static frames=17 overlap=8", 12)


def test_sliding_windows_are_those_of_diffsynth() -> None:
    """Size 5 and stride 3: t = 0, 3, 6 ... without those whose predecessor reaches the end."""
    assert placed("sliding frames=17 overlap=8", 12) == [
        [0, 1, 2, 3, 4],
        [3, 4, 5, 6, 7],
        [6, 7, 8, 9, 10],
        [9, 10, 11],
    ]
    assert placed("sliding frames=17 overlap=8", 11)[-1] == [6, 7, 8, 9, 10]


def test_looped_windows_go_over_the_end_and_are_turned_in_every_step() -> None:
    """By whole windows in the order of reversed bits, and by 0, 1, 2 ... of the 4 that a window has anew."""
    assert [radical_inverse(step, 2) for step in range(6)] == [0, 0.5, 0.25, 0.75, 0.125, 0.625]
    assert [radical_inverse(step, 3) * 9 for step in range(6)] == pytest.approx([0, 3, 6, 1, 4, 7])
    first = [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9, 10, 11, 0]]
    assert placed("looped overlap=4", 12) == first
    for step, turned in ((1, 4 * 1 + 1), (2, 4 * 0 + 2), (3, 4 * 2 + 0)):
        assert placed("looped overlap=4", 12, step) == [
            [(frame + turned) % 12 for frame in window] for window in first
        ]


@pytest.mark.parametrize("schedule", ["uniform", "looped"])
@pytest.mark.parametrize("total", [12, 13, 24, 25, 48])
def test_windows_lie_elsewhere_in_every_step_also_where_the_clip_is_a_whole_number_of_them(
    schedule: str, total: int
) -> None:
    for overlap in (4, 8):
        steps = [placed(f"{schedule} overlap={overlap}", total, step) for step in range(4)]
        assert all(sorted(one) != sorted(other) for one, other in itertools.pairwise(steps))


def test_a_loop_of_one_window_is_turned_itself() -> None:
    assert placed("looped overlap=4", 4) == [[0, 1, 2, 3]]
    assert placed("looped overlap=4", 4, 1) == [[2, 3, 0, 1]]
    assert placed("looped overlap=4", 4, 2) == [[1, 2, 3, 0]]


def test_a_stride_adds_windows_that_leave_out_frames() -> None:
    assert placed("looped stride=8 overlap=4", 12)[3:] == [[0, 2, 4, 6, 8], [9, 11, 1, 3, 5]]
    assert placed("uniform stride=8 overlap=4", 13)[3:] == [[0, 2, 4, 6, 8], [4, 6, 8, 10, 12]]


def test_uniform_windows_stay_within_the_clip() -> None:
    assert placed("uniform overlap=4", 12) == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [7, 8, 9, 10, 11]]
    assert placed("uniform overlap=4", 12, 1) == [
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 5],
        [5, 6, 7, 8, 9],
        [7, 8, 9, 10, 11],
    ]


@pytest.mark.parametrize("fuse", ["pyramid", "linear"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_frame_is_seen_and_its_weights_sum_to_one(schedule: str, fuse: str) -> None:
    for total in range(1, 40):
        for overlap in (0, 4, 12, 16):
            for step in range(5):
                windows = windows_of(options(f"{schedule} overlap={overlap} fuse={fuse}"), total, step)
                sums = [0.0] * total
                for window in windows:
                    assert len(set(window.frames)) == len(window.frames) <= 5
                    assert min(window.weights) > 0
                    for frame, weight in zip(window.frames, window.weights, strict=True):
                        sums[frame] += weight
                assert sums == pytest.approx([1.0] * total, abs=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_clip_no_longer_than_a_window_is_one_window(schedule: str) -> None:
    for total in range(1, 6):
        (window,) = windows_of(options(schedule), total)
        assert window.frames == tuple(range(total))
        assert window.weights == (1.0,) * total


def test_linear_windows_go_over_from_one_to_the_next() -> None:
    before, after = windows_of(options("static frames=17 overlap=8 fuse=linear"), 8)
    assert before.weights == (1, 1, 1, 0.75, 0.25)
    assert after.weights == (0.25, 0.75, 1, 1, 1)


def test_a_pyramid_trusts_the_middle() -> None:
    before, after = windows_of(options("static frames=17 overlap=8"), 8)
    assert before.weights == (1, 1, 1, 2 / 3, 1 / 3)
    assert after.weights == (1 / 3, 2 / 3, 1, 1, 1)


def test_on_a_ring_there_is_no_end_without_a_ramp() -> None:
    windows = windows_of(options("looped frames=17 overlap=4 fuse=linear"), 12)
    assert windows[0].weights == (0.5, 1, 1, 1, 0.5)


def test_what_moves_and_how_much_is_seen() -> None:
    assert [windows_move(options(text), 12) for text in SCHEDULES] == [False, True, True, False, True, True]
    assert [windows_move(options(text), 5) for text in SCHEDULES] == [False, False, True, False, False, True]
    assert frames_seen(options("static"), 5) == 5
    assert frames_seen(options("static frames=17 overlap=8"), 12) == 20
    assert frames_seen(options("sliding frames=17 overlap=8"), 12) == 18


def test_frames_of_the_clip_become_latent_frames_exactly() -> None:
    told = WindowOptions.read("uniform frames=81 overlap=16 stride=8")
    assert (told.latent_size, told.latent_overlap, told.latent_stride) == (21, 4, 2)
    assert WindowOptions().settled(81).model_dump() == {
        "schedule": "static",
        "frames": 81,
        "overlap": 28,
        "stride": 4,
        "fuse": "pyramid",
        "freenoise": True,
        "anchor": False,
    }
    assert WindowOptions(overlap=64).settled(17).overlap == 16


@pytest.mark.parametrize(
    "text",
    [
        "static",
        "looped frames=33 overlap=8 stride=8 fuse=linear freenoise=off anchor=on",
        "sliding overlap=0",
    ],
)
def test_what_is_written_is_read_again(text: str) -> None:
    assert str(WindowOptions.read(text)) == text


@pytest.mark.parametrize("text", ["", "off", "  Off "])
def test_off_is_none(text: str) -> None:
    assert WindowOptions.read(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("statik", "no schedule"),
        ("static frames", "says nothing"),
        ("static size=5", "says nothing"),
        ("static frames=80", "try 77 or 81"),
        ("static overlap=6", "try 4 or 8"),
        ("static frames=17 overlap=20", "leaves nothing new"),
        ("static frames=4", "greater than or equal to 5"),
        ("static fuse=flat", "pyramid"),
    ],
)
def test_what_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WindowOptions.read(text)

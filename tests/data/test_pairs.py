import numpy as np
import pytest

from micron_jax.data.pairs import (
    DELTA_SECONDS,
    TOLERANCE,
    Clip,
    Pairs,
    hold_out,
    pairless,
    partner_ranges,
)
from micron_jax.errors import UserError


def clips_of(*counts, fps=30.0):
    starts = np.cumsum([0, *counts])
    return [Clip(f"c{i}", int(starts[i]), n, fps) for i, n in enumerate(counts)]


def timed_clip(seconds, first=0, name="c"):
    return Clip(name, first, len(seconds), 30.0, np.asarray(seconds, float))


def all_pairs(clips, delta_seconds=DELTA_SECONDS):
    """Every pair of frames whose times differ by δ, by a search."""
    low, high = delta_seconds[0] - TOLERANCE, delta_seconds[1] + TOLERANCE
    return {
        (clip.first + t, clip.first + u)
        for clip in clips
        for t, earlier in enumerate(clip.times())
        for u, later in enumerate(clip.times())
        if low <= later - earlier <= high
    }


def drawn_pairs(clips, delta_seconds=DELTA_SECONDS):
    """Every pair that can be drawn."""
    pairs = Pairs(clips, delta_seconds)
    _, nearest, farthest = pairs.partners(np.arange(len(pairs)))
    choices = farthest - nearest + 1
    numbers = np.repeat(np.arange(len(pairs)), choices)
    uniform = np.concatenate([(np.arange(count) + 0.5) / count for count in choices])
    t, distance = pairs.draw(numbers, uniform)
    return set(zip(t.tolist(), (t + distance).tolist(), strict=True))


def test_pairs_are_those_that_a_search_finds():
    clips = clips_of(3, 5, 6, 20, 1, 9)
    pairs = Pairs(clips, DELTA_SECONDS)
    expected = [
        (t, 5, min(11, clip.first + clip.count - 1 - t))
        for clip in clips
        for t in range(clip.first, clip.first + clip.count)
        if t + 5 < clip.first + clip.count
    ]
    assert len(pairs) == len(expected) == 1 + 15 + 4
    t, nearest, farthest = pairs.partners(np.arange(len(pairs)))
    assert t.dtype == nearest.dtype == farthest.dtype == np.int64
    np.testing.assert_array_equal(np.stack([t, nearest, farthest], 1), expected)


@pytest.mark.parametrize(
    ("fps", "distances"), [(25.0, range(5, 10)), (30.0, range(5, 12)), (200.0, range(34, 74))]
)
def test_a_frame_rate_changes_no_seconds(fps, distances):
    clips = clips_of(90, 100, 120, fps=fps)
    pairs = drawn_pairs(clips)
    assert pairs == all_pairs(clips)
    assert {later - earlier for earlier, later in pairs} == {*distances}
    seconds = {(later - earlier) / fps for earlier, later in pairs}
    assert 1 / 6 - 1e-3 <= min(seconds) <= 1 / 6 + 1 / fps
    assert 11 / 30 - 1 / fps <= max(seconds) <= 11 / 30 + 1e-3


def test_a_variable_rate_is_paired_by_its_own_times():
    fast, slow = np.arange(30) / 30, 1 + np.arange(20) / 10
    clips = [timed_clip(np.concatenate([fast, slow])), timed_clip(slow, first=50)]
    pairs = drawn_pairs(clips)
    assert pairs == all_pairs(clips)
    assert {later - earlier for earlier, later in pairs if earlier >= 30} == {2, 3}
    assert all(later < 50 or earlier >= 50 for earlier, later in pairs), "none leaves its clip"


def test_times_in_milliseconds_make_the_pairs_of_exact_times():
    exact = np.arange(100) / 30
    clips = [timed_clip(exact), timed_clip(exact.round(3), first=100)]
    pairs = drawn_pairs(clips)
    moved = {(earlier + 100, later + 100) for earlier, later in pairs if earlier < 100}
    assert moved == {pair for pair in pairs if pair[0] >= 100}


def test_a_hole_in_time_is_not_crossed():
    clips = [timed_clip([*np.arange(8) / 30, *(5 + np.arange(8) / 30)])]
    pairs = drawn_pairs(clips)
    assert pairs == all_pairs(clips)
    assert {(earlier < 8, later < 8) for earlier, later in pairs} == {(True, True), (False, False)}


def test_draws_are_uniform_over_the_valid_pairs():
    pairs = Pairs(clips_of(20), DELTA_SECONDS)
    rng = np.random.default_rng(0)
    _, delta = pairs.draw(np.zeros(70_000, int), rng.random(70_000))
    np.testing.assert_allclose(np.bincount(delta)[5:], 10_000, rtol=0.05)
    _, delta = pairs.draw(np.full(1000, 14), rng.random(1000))  # frame 14 of 0..19: only 5 fits
    assert set(delta) == {5}
    assert pairs.draw(np.array([0]), np.array([1 - 1e-16]))[1] == 11


def test_clips_without_a_pair_are_told_with_their_reason():
    clips = [
        *clips_of(40, 1, 4),
        Clip("fast", 45, 36, 1000.0),
        Clip("slow", 81, 9, 2.0),
        timed_clip([0, 0.1, 1, 1.1], 90, "holes"),
    ]
    assert pairless(clips, DELTA_SECONDS) == [
        {"clip": "c1", "reason": "one frame"},
        {
            "clip": "c2",
            "reason": "4 frames, 30 per second: 0.1 s long, and a pair needs 0.167 s",
        },
        {
            "clip": "fast",
            "reason": "36 frames, 1000 per second: 0.035 s long, and a pair needs 0.167 s",
        },
        {
            "clip": "slow",
            "reason": "9 frames, 2 per second: 0.5 s from frame to frame, and a pair spans at most "
            "0.367 s",
        },
        {
            "clip": "holes",
            "reason": "4 frames, 30 per second: no two of them are 0.167 to 0.367 s apart",
        },
    ]
    assert pairless([], DELTA_SECONDS) == []


def test_no_pair_at_all_names_the_longest_clip():
    with pytest.raises(
        UserError, match=r"c1, .*: 5 frames, 30 per second: 0\.133 s long.*delta_seconds"
    ):
        Pairs(clips_of(2, 5, 3), DELTA_SECONDS)
    with pytest.raises(UserError, match="no clip"):
        Pairs([], DELTA_SECONDS)


@pytest.mark.parametrize(
    "bounds", [(0.0, 0.3), (-0.1, 0.3), (0.3, 0.2), (0.1, np.inf), (np.nan, 1)]
)
def test_impossible_bounds(bounds):
    with pytest.raises(UserError, match=r"config\.data\.delta_seconds=.*0 < smallest <= largest"):
        Pairs(clips_of(100), bounds)


def test_pairs_of_two_million_frames_take_a_few_bytes_each():
    clips = [Clip(f"c{i}", 200 * i, 200, 30.0, np.arange(200) / 30) for i in range(10_000)]
    pairs = Pairs(clips, DELTA_SECONDS)
    assert len(pairs) == 2_000_000 - 10_000 * 5
    assert sum(value.nbytes for value in vars(pairs).values()) <= 8 * 2_000_000


def test_records_of_chosen_clips_stay_theirs():
    clips = clips_of(20, 30, 40)
    record, nearest, farthest = partner_ranges([clips[2], clips[0]], DELTA_SECONDS)
    assert record.tolist() == [*range(50, 90), *range(20)]
    assert (record + nearest)[:35].max() < 90
    assert (record + farthest)[40:].max() < 20


def test_a_digest_tells_pairs_apart():
    digest = Pairs(clips_of(50, 50), DELTA_SECONDS).digest()
    assert Pairs(clips_of(50, 50), DELTA_SECONDS).digest() == digest
    assert Pairs(clips_of(50, 50, fps=31), DELTA_SECONDS).digest() != digest
    assert Pairs(clips_of(50, 50), (1 / 6, 0.3)).digest() != digest


def test_held_out_clips_are_chosen_by_seed_and_name():
    clips = [Clip(f"clip{i // 2}", 100 * i, 50, 30.0) for i in range(80)]  # two runs a name
    rest, held_out = hold_out(clips, 0.1, delta_seconds=DELTA_SECONDS, seed=0)
    names = {clip.name for clip in held_out}
    assert len(names) == 4
    assert len(held_out) == 8, "both runs of a name"
    assert not names & {clip.name for clip in rest}
    assert sorted(rest + held_out, key=lambda clip: clip.first) == clips
    assert hold_out(clips[::-1], 0.1, delta_seconds=DELTA_SECONDS, seed=0)[1] == held_out[::-1]
    others = hold_out(clips, 0.1, delta_seconds=DELTA_SECONDS, seed=1)[1]
    assert {clip.name for clip in others} != names


def test_the_choice_takes_few_clips_whole_and_none_without_a_pair():
    settings = dict(delta_seconds=DELTA_SECONDS, seed=0)
    assert hold_out(clips_of(50, 50, 50), 0.05, **settings)[1] == []
    assert hold_out(clips_of(50), 0.99, **settings)[1] == []
    assert len(hold_out(clips_of(50, 50), 0.99, **settings)[1]) == 1
    for seed in range(9):
        clips = clips_of(50, 50, 3, 3, 3, 3)
        _, held_out = hold_out(clips, 0.5, delta_seconds=DELTA_SECONDS, seed=seed)
        assert [clip.count for clip in held_out] == [50]

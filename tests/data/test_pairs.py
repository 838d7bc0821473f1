import numpy as np
import pytest

from micron_jax.data.pairs import Clip, Pairs, deltas_at, hold_out
from micron_jax.errors import UserError


def clips_of(*counts, fps=30.0):
    starts = np.cumsum([0, *counts])
    return [Clip(f"c{i}", int(starts[i]), n, fps) for i, n in enumerate(counts)]


def test_deltas_scale_with_the_frame_rate():
    np.testing.assert_array_equal(deltas_at(np.array([30, 200, 60, 15, 2]), 5), [5, 33, 10, 2, 1])


def test_pairs_are_those_that_a_search_finds():
    clips = clips_of(3, 5, 6, 20, 1, 9)
    pairs = Pairs(clips, 5, 11)
    expected = [
        (t, 5, min(11, clip.first + clip.count - 1 - t))
        for clip in clips
        for t in range(clip.first, clip.first + clip.count)
        if t + 5 < clip.first + clip.count
    ]
    assert len(pairs) == len(expected) == 1 + 15 + 4
    t, nearest, farthest = pairs.partners(np.arange(len(pairs)))
    assert t.dtype == np.int64
    np.testing.assert_array_equal(np.stack([t, nearest, farthest], 1), expected)


@pytest.mark.parametrize("fps", [15.0, 23.976, 30.0, 200.0])
def test_partners_never_leave_the_clip_and_use_every_delta(fps):
    clips = clips_of(90, 100, 120, fps=fps)
    pairs = Pairs(clips, 5, 11)
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, len(pairs), 50_000)
    t, delta = pairs.draw(numbers, rng.random(50_000))
    low, high = deltas_at(fps, 5), deltas_at(fps, 11)
    starts = [clip.first for clip in clips]
    of = np.searchsorted(starts, t, side="right")
    np.testing.assert_array_equal(of, np.searchsorted(starts, t + delta, side="right"))
    assert (t + delta < 310).all()
    assert set(delta) == set(range(low, high + 1))


def test_draws_are_uniform_over_the_valid_pairs():
    pairs = Pairs(clips_of(20), 5, 11)
    rng = np.random.default_rng(0)
    _, delta = pairs.draw(np.zeros(70_000, int), rng.random(70_000))
    np.testing.assert_allclose(np.bincount(delta)[5:], 10_000, rtol=0.05)
    _, delta = pairs.draw(np.full(1000, 14), rng.random(1000))  # frame 14 of 0..19: only 5 fits
    assert set(delta) == {5}
    assert pairs.draw(np.array([0]), np.array([1 - 1e-16]))[1] == 11


def test_no_pair_names_the_longest_clip():
    with pytest.raises(
        UserError, match=r"c1, has 5 frames at 30 fps; set config.data.delta_min \(now 5\)"
    ):
        Pairs(clips_of(2, 5, 3), 5, 11)
    with pytest.raises(UserError, match="no clip"):
        Pairs([], 5, 11)


@pytest.mark.parametrize("deltas", [(0, 3), (-1, 3), (6, 5)])
def test_impossible_deltas(deltas):
    with pytest.raises(UserError, match=r"config\.data\.delta_min=.*1 <= delta_min <= delta_max"):
        Pairs(clips_of(100), *deltas)


def test_memory_grows_with_clips_not_frames():
    pairs = Pairs(clips_of(4_000_000, 4_000_000), 5, 11)
    assert len(pairs) == 8_000_000 - 10
    assert sum(value.nbytes for value in vars(pairs).values()) < 1000


def test_held_out_clips_are_chosen_by_seed_and_name():
    clips = [Clip(f"clip{i // 2}", 100 * i, 50, 30.0) for i in range(80)]  # two runs a name
    rest, held_out = hold_out(clips, 0.1, delta_min=5, seed=0)
    names = {clip.name for clip in held_out}
    assert len(names) == 4
    assert len(held_out) == 8, "both runs of a name"
    assert not names & {clip.name for clip in rest}
    assert sorted(rest + held_out, key=lambda clip: clip.first) == clips
    assert hold_out(clips[::-1], 0.1, delta_min=5, seed=0)[1] == held_out[::-1]
    assert {clip.name for clip in hold_out(clips, 0.1, delta_min=5, seed=1)[1]} != names


def test_the_choice_takes_few_clips_whole_and_no_short_ones():
    assert hold_out(clips_of(50, 50, 50), 0.05, delta_min=5, seed=0)[1] == []
    assert hold_out(clips_of(50), 0.99, delta_min=5, seed=0)[1] == []
    assert len(hold_out(clips_of(50, 50), 0.99, delta_min=5, seed=0)[1]) == 1
    for seed in range(9):
        _, held_out = hold_out(clips_of(50, 50, 3, 3, 3, 3), 0.5, delta_min=5, seed=seed)
        assert [clip.count for clip in held_out] == [50]

import numpy as np
import pytest

from micron_jax.spotting.timeline import energy_of, find_intervals, transient


def bump(length, apex, half, height=1.0):
    t = np.arange(length)
    return height * np.clip(1 - np.abs(t - apex) / half, 0, None)


@pytest.mark.parametrize(("count", "delta"), [(9, 3), (9, 1), (3, 5), (2, 1), (4, 4)])
def test_what_came_and_went_differs_from_both_sides(count, delta):
    rng = np.random.default_rng(0)
    state = rng.normal(size=count)
    before = [abs(state[t] - state[max(0, t - delta)]) for t in range(count)]
    rest = range(max(0, count - delta), count)
    after = [abs(state[t] - state[-1]) for t in rest]
    maps = np.array(before + after)[:, None, None]
    expected = [
        min(
            abs(state[t] - state[max(0, t - delta)]),
            abs(state[t] - state[min(count - 1, t + delta)]),
        )
        for t in range(count)
    ]
    np.testing.assert_allclose(transient(maps, count, delta)[:, 0, 0], expected)


def test_a_lasting_change_leaves_nothing_and_a_passing_one_its_height():
    delta = 5
    for state, expected in ((np.arange(30) >= 15, 0), (bump(30, 15, 4), 1)):
        state = state.astype(float)
        before = np.abs(state - state[np.maximum(0, np.arange(30) - delta)])
        after = np.abs(state[-delta:] - state[-1])
        maps = np.concatenate([before, after])[:, None, None]
        assert transient(maps, 30, delta).max() == expected


def test_energy_is_of_the_highest_twentieth_where_it_counts():
    maps = np.zeros((2, 10, 10), np.float32)
    maps[0, 0, :5] = [1, 2, 3, 4, 5]
    everywhere = np.ones((10, 10), bool)
    np.testing.assert_allclose(energy_of(maps, everywhere), [3, 0])
    np.testing.assert_allclose(energy_of(maps, np.arange(100).reshape(10, 10) >= 5), [0, 0])


@pytest.mark.parametrize("fps", [25.0, 200.0])
def test_intervals_are_found_ranked_and_of_the_right_length(fps):
    rng = np.random.default_rng(1)
    length, second = int(8 * fps), int(fps)
    energy = rng.normal(0.05, 0.005, length)
    energy += bump(length, 2 * second, 0.15 * fps, 0.6)  # 0.3 s
    energy += bump(length, 4 * second, 0.2 * fps, 1.0)  # 0.4 s
    energy += bump(length, 6 * second, 0.6 * fps, 1.0)  # 1.2 s: no micro-expression
    strong, weak, *rest = find_intervals(energy, fps)
    assert (strong.apex, weak.apex) == (4 * second, 2 * second)
    assert strong.strength > weak.strength > 20
    assert all(interval.energy < 0.2 for interval in rest)
    for interval, seconds in ((strong, 0.4), (weak, 0.3)):
        assert interval.onset <= interval.apex <= interval.offset
        assert 0.6 * seconds <= (interval.offset - interval.onset) / fps <= 1.1 * seconds + 1 / fps
        assert interval.energy == energy[interval.apex]


@pytest.mark.parametrize("energy", [[], [0.0], [0, 1], np.zeros(50), np.full(50, 0.3)])
def test_no_peak_is_no_interval(energy):
    assert [i for i in find_intervals(np.asarray(energy, float), 30.0) if i.strength < 1e3] == []
    if len(energy) == 0 or not np.ptp(energy):
        assert find_intervals(np.zeros(len(energy)), 30.0) == []

import numpy as np
import pytest
from helpers.bump import bump

from micron_jax.spotting.timeline import energy_of, transient


@pytest.mark.parametrize(("count", "delta"), [(9, 3), (9, 1), (3, 5), (2, 1), (4, 4)])
def test_transient_is_the_smaller_difference_of_both_sides(count, delta):
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


def test_a_passing_change_counts_and_a_lasting_one_does_not():
    delta = 5
    for state, expected in ((np.arange(30) >= 15, 0), (bump(30, 15, 4), 1)):
        state = state.astype(float)
        before = np.abs(state - state[np.maximum(0, np.arange(30) - delta)])
        after = np.abs(state[-delta:] - state[-1])
        maps = np.concatenate([before, after])[:, None, None]
        assert transient(maps, 30, delta).max() == expected


def test_energy_is_the_mean_of_the_highest_twentieth():
    maps = np.zeros((2, 10, 10), np.float32)
    maps[0, 0, :5] = [1, 2, 3, 4, 5]
    everywhere = np.ones((10, 10), bool)
    np.testing.assert_allclose(energy_of(maps, everywhere), [3, 0])
    np.testing.assert_allclose(energy_of(maps, np.arange(100).reshape(10, 10) >= 5), [0, 0])

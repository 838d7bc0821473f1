import numpy as np
import pytest
from helpers.bump import bump

from micron_jax.spotting import find_intervals


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

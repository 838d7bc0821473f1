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
    strong, weak, *rest = find_intervals(energy, np.arange(length) / fps)
    assert (strong.apex, weak.apex) == (4 * second, 2 * second)
    assert strong.strength > weak.strength > 20
    assert all(interval.energy < 0.2 for interval in rest)
    for interval, seconds in ((strong, 0.4), (weak, 0.3)):
        assert interval.onset <= interval.apex <= interval.offset
        assert 0.6 * seconds <= (interval.offset - interval.onset) / fps <= 1.1 * seconds + 1 / fps
        assert interval.energy == energy[interval.apex]


def test_widths_are_seconds_of_the_frames_own_times():
    rng = np.random.default_rng(0)
    seconds = np.concatenate([np.arange(60) / 30, 2 + np.arange(40) / 10])
    energy = rng.normal(0.05, 0.002, 100)
    energy += bump(100, 30, 5, 1.0)  # frames: 0.3 s at 30 per second
    energy += bump(100, 80, 5, 1.0)  # 1 s at 10 per second: no micro-expression
    energy += bump(100, 95, 1.5, 0.8)  # 0.3 s at 10 per second
    intervals = [i for i in find_intervals(energy, seconds) if i.energy > 0.5]
    assert {interval.apex for interval in intervals} == {30, 95}


def test_no_peak_reaches_across_a_hole():
    energy = np.full(40, 0.05) + np.random.default_rng(0).normal(0, 0.001, 40)
    energy[17:23] = 1.0
    seconds = np.arange(40) / 30
    (whole,) = (i for i in find_intervals(energy, seconds) if i.energy > 0.5)
    assert whole.onset < 20 < whole.offset
    seconds[20:] += 5
    # Nobody saw it come and go.
    assert [i for i in find_intervals(energy, seconds) if i.energy > 0.5] == []


@pytest.mark.parametrize("energy", [[], [0.0], [0, 1], np.zeros(50), np.full(50, 0.3)])
def test_no_peak_is_no_interval(energy):
    energy, seconds = np.asarray(energy, float), np.arange(len(energy)) / 30
    assert [i for i in find_intervals(energy, seconds) if i.strength < 1e3] == []
    if len(energy) == 0 or not np.ptp(energy):
        assert find_intervals(np.zeros(len(energy)), seconds) == []

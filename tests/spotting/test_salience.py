import numpy as np
import pytest
from helpers.bump import bump

from micron_jax.spotting.salience import AROUND, LEAST, salience_of

WHERE = np.ones((4, 5), bool)


def maps_of(seconds, small, large):
    """A mouth that moves all the time, and a brow that moves once."""
    rng = np.random.default_rng(0)
    maps = np.zeros((len(seconds), 4, 5), np.float32)
    maps[:, 3, 2] = large * rng.uniform(0.5, 1.0, len(seconds))
    maps[:, 0, 1] = small * np.exp(-np.square((seconds - 4) / 0.08))
    return maps


@pytest.mark.parametrize("fps", [25, 60, 200])
def test_a_small_movement_stands_out_beside_one_that_goes_on(fps):
    seconds = 3 + np.arange(6 * fps) / fps
    seconds += 1e-3 * np.random.default_rng(1).uniform(-1, 1, len(seconds))
    maps = maps_of(seconds, 0.5, 5.0)
    salience = salience_of(maps, seconds, WHERE)
    assert salience.dtype == np.float32
    assert seconds[salience.argmax()] == pytest.approx(4, abs=1 / fps)
    assert salience.max() == pytest.approx(0.5 / LEAST, rel=0.1)
    away = np.abs(seconds - 4) > 0.5
    assert salience[away].max() < 2
    assert maps.max(axis=(1, 2)).argmax() != salience.argmax()


def test_only_what_is_around_in_time_and_place_counts():
    seconds = np.arange(120) / 30
    alone = maps_of(seconds, 0.0, 0.0)
    alone[:, 1, 1] = bump(120, 60, 4)
    np.testing.assert_allclose(salience_of(alone, seconds, WHERE)[60], 1 / LEAST, rtol=1e-3)
    elsewhere = WHERE & (np.arange(5) > 1)
    assert salience_of(alone, seconds, elsewhere).max() == 0
    # A hole ends what is around: after it the face has rested always.
    apart = np.where(np.arange(120) < 60, seconds, seconds + 0.6)
    alone[:60, 1, 1] = 1.0
    assert apart[60] - apart[45] < 2 * AROUND
    np.testing.assert_allclose(salience_of(alone, apart, WHERE)[60], 1 / LEAST, rtol=1e-3)
    assert salience_of(alone, seconds, WHERE)[60] < 0.5 / LEAST


def test_short_clips():
    maps = np.full((1, 4, 5), 1.0, np.float32)
    np.testing.assert_allclose(salience_of(maps, np.array([7.0]), WHERE), 1 / (1 + LEAST))
    two = np.concatenate([maps, maps])
    assert salience_of(two, np.array([7.0, 7.1]), WHERE).shape == (2,)

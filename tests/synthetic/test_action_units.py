import numpy as np
import pytest

from micron_jax.data import warps
from micron_jax.faces import landmarks as faces
from micron_jax.synthetic import action_units, insertion

POINTS = faces.CANONICAL * 224 - 0.5


def test_shapes_are_of_every_kind_and_do_not_fold():
    shapes = []
    for seed in range(60):
        field, shape = action_units.draw_shape(
            POINTS, 5.0, np.random.default_rng(seed), (*warps.FAMILIES,)
        )
        assert warps.steepness(field, 1 / insertion.STEP) <= action_units.STEEPEST
        assert np.hypot(*np.moveaxis(field, -1, 0)).max() == pytest.approx(5.0, rel=1e-5)
        assert np.abs(field[[0, -1]]).max() == np.abs(field[:, [0, -1]]).max() == 0
        shapes.append(shape)
    assert {shape.family for shape in shapes} == set(warps.FAMILIES)
    assert {shape.side for shape in shapes} == {"both", "left", "right", ""}
    assert {bool(shape.carried) for shape in shapes} == {True, False}
    assert min(s.spread for s in shapes) < 0.8 < 1.6 < max(s.spread for s in shapes)


def test_sides_are_the_persons():
    for seed in range(40):
        field, shape = action_units.draw_shape(POINTS, 1.0, np.random.default_rng(seed))
        if shape.side in ("left", "right"):
            truth = insertion.displacement([field])[0]
            length = np.hypot(*np.moveaxis(truth, -1, 0))
            in_image = "left" if length[:, :14].sum() > length[:, 14:].sum() else "right"
            assert in_image != shape.side
            assert shape.units.startswith(shape.side[0].upper())


def test_a_profile_peaks_on_a_frame_and_lasts_as_long_as_a_micro_expression():
    seconds = np.sort(np.random.default_rng(0).uniform(0, 4, 120))  # of a film of uneven times
    allowed = (seconds > 1) & (seconds < 3)
    durations = []
    for seed in range(200):
        profile = action_units.draw_profile(seconds, allowed, np.random.default_rng(seed))
        intensity = profile(seconds)
        frames = profile.frames(seconds)
        assert intensity[frames["apex"]] == 1
        assert intensity[frames["onset"]] == intensity[frames["offset"]] == 0
        assert (intensity[frames["onset"] + 1 : frames["offset"]] > 0).all()
        assert (intensity[~allowed] == 0).all()
        durations.append(profile.offset - profile.onset)
    assert 0.04 <= min(durations) < 0.05
    assert 0.4 < max(durations) <= 0.5


def test_no_place_is_no_profile():
    seconds = np.arange(30) / 30
    rng = np.random.default_rng(0)
    assert action_units.draw_profile(seconds, np.zeros(30, bool), rng) is None
    assert action_units.draw_profile(seconds[:1], np.ones(1, bool), rng) is None


def test_amplitudes():
    rng = np.random.default_rng(0)
    drawn = [action_units.draw_amplitude(rng) for _ in range(300)]
    assert 0.25 <= min(drawn) < 0.3 < 4 < max(drawn) <= 5
    assert np.log(drawn).mean() == pytest.approx(np.log([0.25, 5]).mean(), abs=0.2)
    listed = {action_units.draw_amplitude(rng, (0.5, 1.0, 3.0)) for _ in range(50)}
    assert listed == {0.5, 1.0, 3.0}

import numpy as np
import pytest

from micron_jax.synthetic import still_camera

GRAY = np.full((40, 32, 32, 3), 120, np.uint8)
NOTHING = {"read": 0.0, "shot": 0.0, "grain": 0.0, "seed": (0,)}


def camera(gain=1.0, deep=0.0, **more):
    count = len(GRAY)
    bands = np.tile([deep, 0.5, 0.0], (count, 1))
    return still_camera.StillCamera(np.full(count, gain), bands, **(NOTHING | more))


def test_dither_alone_leaves_a_whole_level_alone():
    np.testing.assert_array_equal(camera().shoot(GRAY), GRAY)


def test_dither_keeps_a_level_between_two():
    frames = camera(gain=1 + 0.4 / 120).shoot(GRAY)
    assert set(np.unique(frames)) == {120, 121}
    assert frames.mean() == pytest.approx(120.4, abs=0.02)


@pytest.mark.parametrize("grain", [0.0, 0.6, 1.0])
def test_noise_has_its_deviation(grain):
    noise = camera(read=2.0, shot=0.05, grain=grain).shoot(GRAY) - 120.0
    assert noise.std() == pytest.approx(np.sqrt(4 + 0.05 * 120), rel=0.08)
    alike = np.corrcoef(noise.reshape(len(noise), -1))  # of frames
    assert abs(alike[np.triu_indices(len(noise), 1)].mean()) < 0.01


def test_bars_run_across_the_frame():
    rows = camera(deep=0.05).shoot(GRAY)[0].mean(axis=(1, 2))
    assert np.ptp(rows) == pytest.approx(12, abs=1)


def test_drawn_cameras_differ_and_repeat():
    seconds = np.arange(40) / 30
    first, again, other = (
        still_camera.draw_camera(seconds, np.random.default_rng(seed), (seed,))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.shoot(GRAY), again.shoot(GRAY))
    assert first.read != other.read
    assert np.abs(first.gain - 1).max() < 0.07

import cv2
import jax
import numpy as np
import pytest
from helpers.drawn import texture

from micron_jax.data import camera, known_motion, warps


@pytest.fixture(scope="module")
def calm():
    """Windows of a face without head motion, light and noise: what is left is the field."""
    quiet = dict(HEAD=(0.0,) * 4, TURNED=0.0, BLINKED=0.0, READ=(0.1, 0.1), SHOT=0.0, LIGHT=0.0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (quiet | dict(QUALITY=(100, 100), BLUR=(0.3, 0.3))).items():
            patch.setattr(known_motion, name, value)
        patch.setattr(known_motion, "AMPLITUDE", (1.5, 3.0))
        face = texture(0, (448, 448), grain=3.0)
        make = jax.jit(
            lambda key: known_motion.windows(key, face, count=6, size=96, patch_size=8, still=0.0)
        )
        return [np.asarray(x) for x in make(jax.random.key(0))]


def test_the_label_is_the_motion(calm):
    """Optical flow of nearly clean windows agrees with the displacements."""
    before, after, displacement = calm
    assert before.shape == after.shape == (6, 96, 96, 3)
    assert displacement.shape == (6, 144, 2)
    longest = np.hypot(*np.moveaxis(displacement, -1, 0)).max(axis=1)
    assert (longest > 0.3).any()
    assert (longest < 3.01).all()
    for a, b, label in zip(before, after, displacement, strict=True):
        gray = [cv2.cvtColor(x.astype(np.uint8), cv2.COLOR_RGB2GRAY) for x in (a, b)]
        flow = cv2.calcOpticalFlowFarneback(*gray, None, 0.5, 3, 15, 5, 7, 1.5, 0)
        measured = flow.reshape(12, 8, 12, 8, 2).mean((1, 3))
        # Flow knows little of what leaves the window.
        measured, label = measured[1:-1, 1:-1], label.reshape(12, 12, 2)[1:-1, 1:-1]
        assert np.abs(measured - label).mean() < 0.06
        assert np.abs(label).max() < 0.3 or np.corrcoef(measured.ravel(), label.ravel())[0, 1] > 0.9


def test_still_pairs_differ_by_light_and_noise():
    face = texture(1, (256, 256))
    drawn = dict(count=8, size=32, patch_size=8, still=1.0)
    make = jax.jit(lambda key: known_motion.windows(key, face, **drawn))
    windows = make(jax.random.key(3))
    before, after, displacement = map(np.asarray, windows)
    assert not displacement.any()
    assert np.abs(before - after).mean() > 0.5
    again = make(jax.random.key(3))
    np.testing.assert_array_equal(before, again[0])


def test_no_unseen_shape_is_learned():
    assert set(warps.SEEN).isdisjoint(warps.UNSEEN)
    for kernel in warps.SEEN.values():
        r = np.linspace(0, 3, 7)
        np.testing.assert_allclose(kernel(r, jax.numpy), kernel(r), atol=1e-6)


@pytest.mark.parametrize("quality", [60, 85, 95])
def test_jpeg_is_jpeg(quality):
    image = texture(2, (64, 96))
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    expected = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    estimate = np.asarray(camera.jpeg(image.astype(np.float32), quality))
    error = np.abs(expected - image).mean()
    assert np.abs(estimate - expected).mean() < 0.35 * error


def test_look_up_and_light():
    image = np.random.default_rng(0).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    estimate = camera.look_up(image, np.array([[[2.0, 3.0], [2.5, 3.0], [-4.0, 0.0]]], np.float32))
    np.testing.assert_allclose(estimate[0, 0], image[3, 2], rtol=1e-5)
    np.testing.assert_allclose(estimate[0, 1], (image[3, 2] + image[3, 3]) / 2, rtol=1e-5)
    np.testing.assert_allclose(estimate[0, 2], image[0, 0], rtol=1e-5)
    lit = camera.relight(np.ones((4, 4, 3), np.float32), np.array([0.1, 0.0, 0.4]))
    np.testing.assert_allclose(lit[:, 0, 0], 1.1 + 0.4 * (np.arange(4) - 1.5) / 4, rtol=1e-6)

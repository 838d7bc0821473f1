import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.data.alignment import align, look_up, look_up_cubic
from micron_jax.faces.registration import register

SIDE = 224
aligned = jax.jit(align)


@pytest.fixture(scope="module")
def face():
    """Smooth texture, levels 40..215, with a margin."""
    rng = np.random.default_rng(0)
    noise = sum(
        cv2.GaussianBlur(rng.normal(size=(SIDE + 64, SIDE + 64, 3)), (0, 0), s) * s
        for s in (2, 5, 12)
    )
    low, high = np.quantile(noise, (0.001, 0.999))
    return np.float32(np.clip((noise - low) / (high - low), 0, 1) * 175 + 40)


def view(face, *, angle=0.0, zoom=1.0, shift=(0.0, 0.0), bump=0.0):
    """The middle of a face after a motion of the head, and of one cheek by `bump` px."""
    turn = cv2.getRotationMatrix2D((len(face) / 2 - 0.5,) * 2, angle, zoom)
    turn[:, 2] += shift
    y, x = np.mgrid[: len(face), : len(face)].astype(np.float32)
    places = np.stack([x, y], -1)
    cheek = np.exp(-((x - 110) ** 2 + (y - 180) ** 2) / (2 * 14**2))
    places[..., 1] += bump * cheek
    places = np.float32(places @ turn[:, :2].T + turn[:, 2])
    return cv2.remap(face, places, None, cv2.INTER_CUBIC)[32:-32, 32:-32]


def inner(a, b):
    return np.abs(np.asarray(a) - b)[16:-16, 16:-16].mean()


def test_alignment_equals_that_of_the_host(face):
    moving = 1.08 * view(face, angle=1.2, zoom=1.01, shift=(2.3, -1.6)) - 6
    there = view(face)
    assert inner(moving, there) > 10
    host, _ = register(*(np.uint8(np.clip(np.rint(x), 0, 255)) for x in (moving, there)))
    assert inner(aligned(moving, there), there) < 1.2 * inner(host, there)


@pytest.mark.parametrize("angle", [0.0, 0.8])
def test_an_expression_stays(face, angle):
    there = view(face)
    moving = view(face, angle=angle, bump=2.0)
    left = np.abs(np.asarray(aligned(moving, there)) - there).mean(-1)
    moved = np.abs(view(face, bump=2.0) - there).mean(-1)
    cheek = moved > np.quantile(moved, 0.98)
    assert left[cheek].mean() > 0.9 * moved[cheek].mean()
    still = moved < 0.2
    still[:16] = still[-16:] = still[:, :16] = still[:, -16:] = False
    # What resampling leaves, without an expression, is all that is left elsewhere.
    plain = np.abs(np.asarray(aligned(view(face, angle=angle), there)) - there).mean(-1)
    assert left[still].mean() < 1.05 * plain[still].mean() + 0.01


def test_aligned_pairs_are_unchanged(face):
    there = view(face)
    np.testing.assert_allclose(aligned(there, there), there, atol=0.05)
    other = np.float32(np.random.default_rng(1).uniform(0, 255, there.shape))
    flat = np.full_like(there, 90.0)
    assert np.isfinite(aligned(other, there)).all()
    np.testing.assert_array_equal(aligned(flat, flat), flat)


def test_cubic_look_up_is_exact_on_pixels_and_sharper_between():
    line = np.arange(40.0, dtype=np.float32)
    places = np.stack(np.meshgrid(line, line), -1)

    def waves(places):
        x, y = np.moveaxis(places, -1, 0)
        return np.stack([np.sin(x / 1.5), np.cos(y / 2), np.sin(x / 3 + y / 2)], -1)

    image = jnp.asarray(waves(places))
    np.testing.assert_allclose(look_up_cubic(image, places), image, atol=1e-6)
    between = places[4:-4, 4:-4] + np.float32((0.3, 0.6))
    errors = [
        np.abs(look(image, between) - waves(between)).mean() for look in (look_up_cubic, look_up)
    ]
    assert errors[0] < 0.35 * errors[1]

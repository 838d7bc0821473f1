import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.faces.registration import difference, match_light, register, register_crops

SIZE = 224
GRID = np.stack(np.meshgrid(np.arange(20, SIZE - 20, 8.0), np.arange(20, SIZE - 20, 8.0)), -1)


def affine(shift, degrees=0.0, scale=1.0, shear=0.0):
    """[2, 3] about the frame's center, from the reference's pixels to the moving frame's."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[c, -s + shear], [s, c]])
    center = np.full(2, (SIZE - 1) / 2)
    return np.column_stack([linear, center + shift - linear @ center])


def pair(truth, *, gain=1.0, offset=0.0, noise=0.0, seed=0):
    """(moving, reference) of a drawn face, both resampled from one larger drawing."""
    large = cv2.GaussianBlur(drawn.face(seed), (0, 0), 1.5)
    place = np.array([[1, 0, 48.3], [0, 1, 48.3]])

    def visible(transform):
        whole = np.vstack([transform, [0, 0, 1]])
        # Where a pixel x of the moving frame comes from: truth^-1 x, then `place`.
        back = place @ np.linalg.inv(whole)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # the cubic one shifts by up to 0.08 px
        return cv2.warpAffine(large.astype(np.float32), back, (SIZE, SIZE), flags=flags)

    rng = np.random.default_rng(seed)
    frames = gain * visible(truth) + offset, visible(affine((0, 0)))
    noisy = [frame + rng.normal(0, noise, frame.shape) if noise else frame for frame in frames]
    return [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in noisy]


def error(info, truth):
    """Returns the mean distance of the estimated motion from the true one, px."""
    estimate = GRID @ info.transform[:, :2].T + info.transform[:, 2]
    return np.linalg.norm(estimate - (GRID @ truth[:, :2].T + truth[:, 2]), axis=-1).mean()


@pytest.mark.parametrize(
    "truth",
    [
        affine((0, 0)),
        affine((0.3, -0.6)),
        affine((-3.2, 4.7)),
        affine((1.1, 0.4), degrees=1.5),
        affine((0.5, 0.2), degrees=-0.5, scale=1.02, shear=0.01),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_affine_motion_is_estimated_to_a_tenth_of_a_pixel(truth, noise):
    moving, reference = pair(truth, noise=noise, gain=0.95, offset=6)
    registered, info = register(moving, reference)
    assert error(info, truth) < 0.06
    assert registered.dtype == np.uint8
    assert registered.shape == reference.shape
    inside = (slice(12, -12),) * 2
    left = np.abs(registered[inside].astype(float) - reference[inside]).mean()
    assert left < 1.0 + 1.5 * noise


def test_a_local_motion_does_not_move_the_frame():
    truth = affine((0.8, -0.5), degrees=0.4)
    moving, reference = pair(truth, noise=1.0)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    bump = 3 * np.exp(-((x - 150) ** 2 + (y - 150) ** 2) / (2 * 20**2))
    moving = cv2.remap(moving, x, y + bump, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    registered, info = register(moving, reference)
    assert error(info, truth) < 0.06
    # What moved by itself is still seen.
    differences = np.abs(registered.astype(float) - reference).mean(-1)
    assert differences[135:165, 135:165].mean() > 2 * differences[40:70, 40:70].mean()


def test_light_is_matched():
    moving, reference = pair(affine((0, 0)), gain=0.8, offset=12)
    registered, info = register(moving, reference)
    assert info.gain * 0.8 == pytest.approx(1, abs=0.02)
    assert np.abs(registered.astype(float) - reference).mean() < 1.5
    x = np.random.default_rng(0).uniform(50, 150, (64, 64)).astype(np.float32)
    y = 1.1 * x - 7
    y[:16] = 200  # a quarter of the frame shows something else
    gain, offset = match_light(x, y)
    assert (gain, offset) == (pytest.approx(1.1, abs=0.01), pytest.approx(-7, abs=1.0))


def test_equal_frames_are_unchanged():
    _, reference = pair(affine((0, 0)))
    registered, info = register(reference, reference)
    np.testing.assert_array_equal(registered, reference)
    np.testing.assert_array_equal(info.transform, [[1, 0, 0], [0, 1, 0]])
    assert (info.gain, info.offset, info.after) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["noise", "flat", "other face", "far"])
def test_registration_never_increases_the_difference(kind):
    moving, reference = pair(affine((0, 0)))
    rng = np.random.default_rng(1)
    moving = {
        "noise": rng.integers(0, 256, moving.shape, np.uint8),
        "flat": np.full_like(moving, 90),
        "other face": pair(affine((0, 0)), seed=7)[0],
        "far": np.roll(moving, 90, axis=1),
    }[kind]
    registered, info = register(moving, reference)
    assert info.after <= info.before
    assert np.isfinite(info.transform).all()
    if kind in ("noise", "flat"):
        assert info.refused
        np.testing.assert_array_equal(info.transform, [[1, 0, 0], [0, 1, 0]])
    again, same = register(moving, reference)
    np.testing.assert_array_equal(registered, again)
    np.testing.assert_array_equal(info.transform, same.transform)


def test_difference_is_of_the_half_that_fits():
    a, b = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    b[:2] = 100
    assert difference(a, b) == 0


def test_frames_of_two_sizes_are_refused():
    frame = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="expected uint8"):
        register(frame, frame[:16])
    with pytest.raises(ValueError, match="expected uint8"):
        register(frame.astype(np.float32), frame)


def test_a_head_is_registered_although_the_wall_stands_still():
    def scene(shift):
        image = cv2.resize(drawn.texture(9, (75, 75), grain=1), (224, 224))  # many corners
        x, y = np.meshgrid(np.arange(224), np.arange(224))
        head = ((x - 112) / 74) ** 2 + ((y - 108) / 103) ** 2 <= 1
        face = cv2.resize(drawn.face(3), (224, 224))
        return np.where(head[..., None], np.roll(face, shift, axis=1), image)

    still, moved = scene(0), scene(3)
    registered, registration = register_crops(moved, still)
    assert not registration.refused
    center = registration.transform @ (112, 108, 1) - (112, 108)
    np.testing.assert_allclose(center, [3, 0], atol=0.5)
    inside = np.s_[60:160, 70:150]
    apart = np.abs(registered[inside].astype(int) - still[inside]).mean()
    assert apart < 0.3 * np.abs(moved[inside].astype(int) - still[inside]).mean()

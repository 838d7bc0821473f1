import cv2
import numpy as np
import pytest

from micron_jax.data import warps
from micron_jax.faces import landmarks

LANDMARKS = landmarks.CANONICAL * 224 - 0.5


def length(field):
    return np.hypot(*np.moveaxis(field, -1, 0))


def center(field):
    """The center of a field's weight, (x, y) in the crop."""
    weight = length(field) ** 2
    return (warps.canvas_grid() * weight[..., None]).sum((0, 1)) / weight.sum()


@pytest.mark.parametrize("family", warps.FAMILIES)
def test_kernels_are_smooth_and_local(family):
    r = np.linspace(0, 4, 4001)
    value = warps.FAMILIES[family](r)
    assert value[0] == pytest.approx(1, abs=1e-6)
    assert value[1000] == pytest.approx(0.5, abs=0.2)
    assert np.abs(value[3000:]).max() < 0.06
    assert abs(value[-1]) < 0.01
    assert np.abs(np.diff(value)).max() < 0.002  # no jump, nowhere steeper than 2


def test_families_of_training_and_test_differ():
    assert not set(warps.SEEN) & set(warps.UNSEEN)
    r = np.linspace(0, 3, 301)
    for kernel in warps.UNSEEN.values():
        assert min(np.abs(kernel(r) - seen(r)).max() for seen in warps.SEEN.values()) > 0.05


@pytest.mark.parametrize("family", warps.FAMILIES)
@pytest.mark.parametrize("unit", warps.UNITS)
def test_a_unit_moves_its_own_region_its_own_way(unit, family):
    rng = np.random.default_rng(0)
    left, right, nose, *corners = LANDMARKS
    for side in (-1, 1):
        bumps = warps.place(warps.UNITS[unit], side, LANDMARKS, rng)
        field = warps.field(bumps, family, 2.0)
        assert field.shape == (512, 512, 2)
        assert field.dtype == np.float32
        assert length(field).max() == pytest.approx(2.0, abs=1e-5)
        x, y = center(field)
        outward = side * (field[..., 0] * length(field)).sum()
        down = (field[..., 1] * length(field)).sum()
        anchor = {"eye": (left, right), "nose": (nose, nose), "mouth": corners}
        near = anchor[warps.UNITS[unit].anchor][(side + 1) // 2]
        assert np.hypot(x - near[0], y - near[1]) < 36  # 0.6 of the distance of the pupils
        if unit == "1+2":
            assert y < left[1] - 12
            assert down < 0
        elif unit == "4":
            assert y < left[1] - 8
            assert down > 0
        elif unit == "7":
            assert left[1] < y < nose[1]
            assert down < 0
        elif unit == "9":
            assert left[1] < y < nose[1] + 5
            assert down < 0
        elif unit == "12":
            assert abs(y - corners[0][1]) < 14
            assert outward > 0 > down
        elif unit == "15":
            assert y > corners[0][1] - 8
            assert down > 0


def test_a_tilted_face_tilts_its_units():
    turn = cv2.getRotationMatrix2D((112, 112), 25, 1)
    tilted = LANDMARKS @ turn[:, :2].T + turn[:, 2]
    fields = [
        warps.field(warps.place(warps.UNITS["15"], 1, points, np.random.default_rng(3)), "bump", 1)
        for points in (LANDMARKS, tilted)
    ]
    expected = turn @ [*center(fields[0]), 1]
    np.testing.assert_allclose(center(fields[1]), expected, atol=1.0)


def test_nothing_tears():
    """The sharpest of all: 3 px at a lid, the narrowest unit."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        bumps = warps.place(warps.UNITS["7"], 1, LANDMARKS, rng)
        for family in warps.FAMILIES:
            assert warps.steepness(warps.field(bumps, family, 3.0)) <= 0.35
    assert warps.steepness(warps.turn_field(LANDMARKS, 1.0, 3.0)) < 0.15


def test_steepness_of_a_known_field():
    grid = warps.canvas_grid()
    shear = np.stack([0.3 * grid[..., 1], np.zeros(grid.shape[:2])], -1)
    assert warps.steepness(shear) == pytest.approx(0.3, abs=1e-4)


def test_motion_elsewhere_covers_the_face():
    centers = []
    for seed in range(200):
        bumps = warps.anywhere(LANDMARKS, np.random.default_rng(seed))
        centers.append(np.mean([bump.center for bump in bumps], 0))
    centers = np.array(centers)
    assert (np.std(centers, 0) > (25, 30)).all()
    assert (centers > 10).all()
    assert (centers < 214).all()

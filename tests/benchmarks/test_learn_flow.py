"""Pixel differences and flow, on a drawn face that moves by a known field."""

import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.benchmarks import learn_flow

PLACES = np.stack(np.meshgrid(np.arange(224), np.arange(224)), -1).astype(np.float32)


def displace(image, field):
    """Returns the image moved by `field`, px (small and smooth: the inverse is x - field)."""
    x, y = np.moveaxis((PLACES - field).astype(np.float32), -1, 0)
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def pair():
    """(onset, apex, field): the head shifts and grows; a spot at patch (10, 12) moves by 1 px."""
    onset = cv2.resize(drawn.texture(3, (320, 320)), (224, 224), interpolation=cv2.INTER_AREA)
    spot = np.exp(-(((PLACES - (99.5, 83.5)) / 24) ** 2).sum(-1))[..., None]
    head = np.float32((0.4, -0.3)) + 0.004 * (PLACES - 112)
    return onset, displace(onset, head + spot * np.float32((0.6, 0.8))), spot


@pytest.mark.parametrize("name", [*learn_flow.FINDERS, *learn_flow.MIXES])
def test_flow_shows_the_spot_and_not_the_head(pair, name):
    onset, apex, spot = pair
    vectors = {
        part: learn_flow.motion(learn_flow.FINDERS[part], onset, apex)
        for part in learn_flow.finders_of(name)
    }
    rest = learn_flow.less_affine(learn_flow.mixed(vectors, name))
    length = learn_flow.lengths(rest)
    assert length.shape == (28, 28)
    assert length.dtype == np.float32
    assert length[10, 12] == pytest.approx(1, abs=0.25)
    np.testing.assert_allclose(rest[10, 12] / length[10, 12], (0.6, 0.8), atol=0.12)
    near = cv2.resize(spot, (28, 28), interpolation=cv2.INTER_AREA) > 0.01
    assert np.quantile(length[2:-2, 2:-2][~near[2:-2, 2:-2]], 0.9) < 0.1
    # The median leaves the growth: 0.4 px at the borders.
    median = learn_flow.lengths(learn_flow.less_median(learn_flow.mixed(vectors, name)))
    assert np.median(median) > 5 * np.median(length)


def test_relative_maps_are_in_medians():
    maps = np.random.default_rng(0).uniform(0, 3, (2, 28, 28)).astype(np.float32)
    expected = [one / (np.median(one) + 0.02) for one in maps]
    np.testing.assert_allclose(learn_flow.relative(maps, 0.02), expected, rtol=1e-6)


def test_a_wall_behind_the_head_does_not_pull():
    """The affine part is that of the patches that move with the head."""
    vectors = np.zeros((28, 28, 2), np.float32)
    rigid = np.zeros((28, 28), bool)
    rigid[8:20, 8:20] = True
    vectors[rigid] = (1.5, -0.5)
    for rest in learn_flow.RESTS.values():
        np.testing.assert_allclose(rest(vectors, rigid)[rigid], 0, atol=1e-6)


def test_the_affine_part_ignores_outliers():
    y, x = np.mgrid[:28, :28] * 8 + 3.5
    head = np.stack([0.5 + 0.01 * x - 0.004 * y, -0.2 + 0.003 * x], -1)
    vectors = head.copy()
    vectors[5:12, 5:12] += (2.0, -1.0)
    rest = learn_flow.less_affine(vectors)
    np.testing.assert_allclose(rest, vectors - head, atol=0.02)


def test_maps_of_equal_frames_are_zero(pair):
    onset, *_ = pair
    for maps in (
        {"flow": learn_flow.motion(learn_flow.FINDERS["farneback 25"], onset, onset)},
        learn_flow.difference_maps(onset, onset),
    ):
        for name, values in maps.items():
            assert np.abs(values).max() < 1e-3, name


def test_difference_is_a_mean_of_the_patch():
    onset = np.full((224, 224, 3), 100, np.uint8)
    apex = onset.copy()
    apex[80:112, 160:192] += 6  # four by four patches
    maps = learn_flow.difference_maps(onset, apex)
    assert maps["plain"][11, 21] == pytest.approx(6, abs=0.01)
    assert maps["plain"][0, 0] == 0
    np.testing.assert_allclose(maps["relative"], maps["plain"] / 0.25)
    np.testing.assert_allclose(maps["graded"], maps["plain"] / 6, rtol=1e-6)  # the onset is flat

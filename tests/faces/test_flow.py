"""Finders of optical flow, on a texture that moves by a known field; optical strain."""

import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.faces import flow

PLACES = np.stack(np.meshgrid(np.arange(160), np.arange(160)), -1).astype(np.float32)
SPOT = np.exp(-(((PLACES - (60, 90)) / 24) ** 2).sum(-1))[..., None]


@pytest.mark.parametrize("name", flow.METHODS)
def test_each_method_finds_the_displacement(name):
    frame = cv2.resize(drawn.texture(3, (320, 320)), (160, 160), interpolation=cv2.INTER_AREA)
    field = SPOT * np.float32((1.2, -0.8))
    x, y = np.moveaxis((PLACES - field).astype(np.float32), -1, 0)
    other = cv2.remap(frame, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    motion = flow.METHODS[name](flow.gray_of(frame), flow.gray_of(other))
    assert motion.shape == (160, 160, 2)
    assert motion.dtype == np.float32
    # Of the first frame's pixels: right and up, most where the spot is.
    np.testing.assert_allclose(motion[85:95, 55:65].mean((0, 1)), (1.2, -0.8), atol=0.25)
    assert np.abs(motion[130:150, 130:150]).mean() < 0.1


def test_strain():
    """A shift and a small turn strain nothing; stretch and shear do, by the known amount."""
    x, y = PLACES[..., 0], PLACES[..., 1]
    turned = np.stack([2 - 0.01 * y, 3 + 0.01 * x], -1)
    np.testing.assert_allclose(flow.strain(turned), 0, atol=1e-6)
    # u = 0.03 x + 0.02 y, v = 0.04 y: e = [[0.03, 0.01], [0.01, 0.04]].
    strained = flow.strain(np.stack([0.03 * x + 0.02 * y, 0.04 * y], -1))
    np.testing.assert_allclose(strained, np.sqrt(0.03**2 + 0.04**2 + 2 * 0.01**2), rtol=1e-4)
    assert strained.dtype == np.float32


def test_flow_is_in_px_of_the_input():
    frame = drawn.texture(1, (128, 128), grain=4)
    lengths = flow.residual_flow(frame, np.roll(frame, 2, axis=1), 8, 32)
    np.testing.assert_allclose(np.median(lengths), 2 * 32 / 128, rtol=0.1)

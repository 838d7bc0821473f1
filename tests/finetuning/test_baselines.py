import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.finetuning import baselines
from micron_jax.finetuning.config import BASELINES

SIDE = 128


def pair():
    """A drawn face, and the same with its image-left half pushed down by up to 2 px."""
    onset = cv2.resize(drawn.face(3), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    push = 2 * np.exp(-((x - 32) ** 2 + (y - 64) ** 2) / (2 * 12**2))
    apex = cv2.remap(onset, x, y - push, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return onset[None], apex[None]


@pytest.mark.parametrize("kind", ["flow", "flow_tvl1", "flow_farneback"])
def test_baselines_find_the_moved_cell(kind):
    onset, apex = pair()
    still = baselines.features("frame_difference", onset, onset, 4)
    assert still.shape == (1, 1, 16)
    assert np.abs(still).max() == 0
    difference = baselines.features("frame_difference", onset, apex, 4).reshape(4, 4)
    assert difference.argmax() in (4, 5, 8, 9)
    flow = baselines.features(kind, onset, apex, 4).reshape(4, 4, 3)
    assert flow[..., 2].argmax() in (4, 5, 8, 9)
    assert flow[1:3, :2, 1].mean() > 0.3  # down
    assert np.abs(flow[:, 2:, 2]).max() < 0.3
    np.testing.assert_array_less(np.abs(flow[..., 0]), 0.4)


def test_every_baseline_of_the_config_has_features():
    onset, apex = (frames[:, ::4, ::4] for frames in pair())
    assert {baselines.features(kind, onset, apex, 2).shape[-1] for kind in BASELINES if kind} == {
        4,
        12,
    }

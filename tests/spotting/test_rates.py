"""The weights that come along find one brow raise at any frame rate."""

import cv2
import numpy as np
import pytest
from helpers import portrait

import micron_jax
from micron_jax.spotting import measure_timeline

LASTS, MIDDLE, LENGTH = 0.4, 1.0, 2.0  # seconds


def times(rate):
    if rate != "variable":
        return np.arange(round(LENGTH * rate)) / rate
    steps = np.random.default_rng(0).uniform(1 / 60, 1 / 20, 100)
    seconds = np.cumsum(steps)
    return seconds[seconds < LENGTH]


def frames(seconds):
    """A drawn face whose left brow rises by 2 px and falls again, under a camera's noise."""
    face = cv2.resize(portrait.portrait(1), (224, 224), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:224, :224].astype(np.float32)
    up = 2 * np.exp(-(((x - 88) / 22) ** 2) - ((y - 84) / 12) ** 2)
    rng = np.random.default_rng(1)
    for number, second in enumerate(seconds):
        share = np.float32(np.cos(np.clip((second - MIDDLE) / LASTS, -0.5, 0.5) * np.pi) ** 2)
        moved = cv2.remap(face, x, y + share * up, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        noisy = moved + rng.normal(0, 1.0, moved.shape)
        yield number, float(second), np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "rate",
    [
        25,
        60,
        pytest.param(30, marks=pytest.mark.slow),
        pytest.param(200, marks=pytest.mark.slow),
        pytest.param("variable", marks=pytest.mark.slow),
    ],
)
def test_a_brow_raise_is_one_interval_at_any_rate(rate):
    seconds = times(rate)
    timeline = measure_timeline(micron_jax.load("micron-tiny"), frames(seconds), fps=30)
    assert len(timeline.intervals) == 1
    (one,) = timeline.intervals
    step = np.diff(seconds).max()
    assert seconds[one.apex] == pytest.approx(MIDDLE, abs=step + 1e-9)
    assert MIDDLE - LASTS < seconds[one.onset] < MIDDLE < seconds[one.offset] < MIDDLE + LASTS
    assert one.energy > 0.5

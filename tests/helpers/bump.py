"""A triangle in a curve."""

import numpy as np


def bump(length, apex, half, height=1.0):
    t = np.arange(length)
    return height * np.clip(1 - np.abs(t - apex) / half, 0, None)

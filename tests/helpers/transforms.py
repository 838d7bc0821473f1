"""Similarity transforms of points in a plane, float [2, 3]."""

import numpy as np


def transform(scale, angle, shift):
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]

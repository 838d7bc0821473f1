"""Filters and interpolation along one axis, as matrices of numpy alone: PyTorch shares them."""

import numpy as np


def gaussian(count: int, deviation: float) -> np.ndarray:
    """A blur along one axis as a matrix [count, count]; edges go on beyond the border."""
    reach = int(np.ceil(2.5 * deviation))
    taps = np.exp(-np.square(np.arange(-reach, reach + 1) / deviation) / 2)
    matrix, place = np.zeros((count, count), np.float32), np.arange(count)
    for step, weight in zip(range(-reach, reach + 1), taps / taps.sum(), strict=True):
        np.add.at(matrix, (place, np.clip(place + step, 0, count - 1)), weight)
    return matrix


def smoothing(count: int, spread: float) -> np.ndarray:
    """Gaussian means along one axis as a matrix, float32 [count, count]; each row sums to 1."""
    distance = np.arange(count)[:, None] - np.arange(count)
    weight = np.exp(-np.square(distance / spread) / 2)
    return np.float32(weight / weight.sum(axis=1, keepdims=True))


def linear(count: int, cells: int) -> np.ndarray:
    """Linear interpolation along one axis as a matrix [count, cells], at the middles."""
    place = np.clip((np.arange(count) + 0.5) * cells / count - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)


def bicubic_matrix(size_in: int, size_out: int) -> np.ndarray:
    """Weights that resize a line of positions as the release does, float32 [size_out, size_in].

    Cubic convolution with a = -0.75, half-pixel centers, no antialiasing, borders repeated, and a
    scale of (size_out + 0.1) / size_in that is used literally (models/mae.py, line 161): outputs
    are therefore not spread evenly over the input.
    """
    a = -0.75
    scale = (size_out + 0.1) / size_in
    center = (np.arange(size_out) + 0.5) / scale - 0.5
    weights = np.zeros((size_out, size_in))
    for tap in range(-1, 3):
        index = np.floor(center) + tap
        t = np.abs(center - index)
        near = (a + 2) * t**3 - (a + 3) * t**2 + 1
        far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
        column = np.clip(index, 0, size_in - 1).astype(int)
        np.add.at(weights, (np.arange(size_out), column), np.where(t <= 1, near, far))
    return weights.astype(np.float32)

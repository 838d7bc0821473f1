"""What the displacement branch and its PyTorch twin share: their numbers, with numpy alone."""

import functools

import numpy as np

LUMA = (0.299, 0.587, 0.114)  # of normalized RGB
CONTRAST = 4.0
# px: deviations of two Gaussians, whose difference a band is; the coarse one shows long ways.
BANDS = ((0.8, 6.0), (2.0, 10.0), (4.0, 16.0))
SPREADS = (0.0, 1.0, 2.5)  # patches: standard deviations of fixed neighborhoods
# (Band, spread) of the parts of a first guess, one after another.
FIRST = ((2, 2.5), (1, 1.5), (0, 1.0), (0, 1.0), (0, 1.0))
SHARED = (1.0, 2.5, 5.0)  # patches: of neighborhoods that are taken to share one motion
FARTHEST = 8.0  # px, of an answer

REACH, APART = 2, (1, 2)  # patches: of the neighborhoods that the branch weighs itself
# Logits of the patches around, at first: a Gaussian of 1.4 patches.
FALL = -np.add.outer(*[np.square(np.arange(-REACH, REACH + 1)) / 4] * 2).ravel().astype(np.float32)


def widths(width: int) -> list[int]:
    """The channels of the levels of the U-Net, of which the first has `width`, a multiple of 8."""
    return [width, width * 5 // 24 * 8, width * 7 // 24 * 8]


# Of a face in an aligned crop (`faces.landmarks`), in units of its side.
PUPILS, NOSE = 0.2674, (0.5002, 0.5128)

# Of one unit of each column, [1, x, y, depth], how unlikely: only a face that is textureless, or a
# window without one, is held back by them.
RIDGE = (1e-5, 1e-4, 1e-4, 3e-3)


@functools.cache
def face_depth(height: int, width: int) -> np.ndarray:
    """Depth of a mean face at the patches of a crop, less its mean, float32 [height, width].

    The unit is the face's own half depth: an ellipsoid about the middle of the face, 1.6 pupil
    distances to either side, 2.1 up and down, and a nose of 0.35.
    """
    x, y = np.meshgrid(*((np.arange(count) + 0.5) / count for count in (width, height)))
    x, y = ((at - center) / PUPILS for at, center in zip((x, y), NOSE, strict=True))
    head = np.sqrt(np.clip(1 - (x / 1.6) ** 2 - (y / 2.1) ** 2, 0, None))
    nose = 0.35 * np.exp(-((x / 0.28) ** 2) - (y / 0.45) ** 2)
    return np.float32(head + nose - (head + nose).mean())


@functools.cache
def motion_basis(height: int, width: int) -> np.ndarray:
    """Columns [1, x, y, depth] of the head's motion at each patch, float32 [height, width, 4]."""
    x, y = np.meshgrid(*((np.arange(count) + 0.5) / count * 2 - 1 for count in (width, height)))
    return np.stack([np.ones_like(x), x, y, face_depth(height, width)], -1).astype(np.float32)

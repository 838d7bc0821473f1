"""A camera's effects on frames, on the device: look-up, blur, light, noise, JPEG.

The twin of `synthetic.render`, which works on the host with OpenCV. These are pure functions, for
pairs that are drawn again at every training step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import dct

# Annex K of the JPEG standard (ITU-T T.81): steps of quality 50, of luminance and chrominance.
_LUMINANCE = """
16 11 10 16 24 40 51 61   12 12 14 19 26 58 60 55   14 13 16 24 40 57 69 56
14 17 22 29 51 87 80 62   18 22 37 56 68 109 103 77   24 35 55 64 81 104 113 92
49 64 78 87 103 121 120 101   72 92 95 98 112 100 103 99
"""
_CHROMINANCE = (
    """
17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99
47 66 99 99 99 99 99 99
"""
    + "99 " * 32
)
_STEPS = [np.array(text.split(), np.float32).reshape(8, 8) for text in (_LUMINANCE, _CHROMINANCE)]
_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_COSINES = dct(np.eye(8), norm="ortho", axis=0).astype(np.float32)  # [frequency, place]


def look_up(image, places):
    """Values of an image between its pixels, bilinear: [S, S, 3] at (x, y) [H, W, 2]."""
    side = image.shape[0]
    places = jnp.clip(places, 0.0, side - 1.001)
    corner = jnp.floor(places).astype(jnp.int32)
    x, y = jnp.moveaxis((places - corner)[..., None], -2, 0)
    first = corner[..., 1] * side + corner[..., 0]
    pixels = jnp.asarray(image).reshape(-1, image.shape[-1])
    top = pixels[first] * (1 - x) + pixels[first + 1] * x
    bottom = pixels[first + side] * (1 - x) + pixels[first + side + 1] * x
    return top * (1 - y) + bottom * y


def blur(image, deviation):
    """A Gaussian of five taps, its deviation in pixels below 1; [H, W, 3], edges repeated."""
    taps = jnp.exp(-jnp.square(jnp.arange(-2, 3) / deviation) / 2)
    taps = taps / taps.sum()
    height, width = image.shape[:2]
    padded = jnp.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    padded = sum(taps[i] * padded[i : i + height] for i in range(5))
    return sum(taps[i] * padded[:, i : i + width] for i in range(5))


def relight(image, gain):
    """Multiplies by 1 + gain[0] + gain[1] · x + gain[2] · y; x, y from -1/2 to 1/2."""
    down, across = ((jnp.arange(side) - (side - 1) / 2) / side for side in image.shape[:2])
    return image * (1 + gain[0] + gain[1] * across + gain[2] * down[:, None])[..., None]


def add_noise(key, image, read, shot):
    """Sensor noise of variance read² + shot · level, in gray levels."""
    deviation = jnp.sqrt(read**2 + shot * jnp.clip(image, 0, 255))
    return image + deviation * jax.random.normal(key, image.shape)


def jpeg(image, quality):
    """An image after JPEG compression with chrominance at half size.

    Args:
      image: levels 0..255, float32 [H, W, 3]; H and W are multiples of 16.
      quality: 50 to 100.

    Returns:
      Whole levels, float32 [H, W, 3].
    """
    fine, coarse = (
        jnp.clip(jnp.floor((steps * (200 - 2 * quality) + 50) / 100), 1, 255) for steps in _STEPS
    )
    height, width = image.shape[:2]
    planes = image @ _YCC.T

    def chrominance(plane):
        half = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        return jax.image.resize(_quantized(half, coarse), (height, width), "linear")

    luminance = _quantized(planes[..., 0] - 128, fine) + 128
    planes = [luminance, chrominance(planes[..., 1]), chrominance(planes[..., 2])]
    return jnp.clip(jnp.round(jnp.stack(planes, -1) @ np.linalg.inv(_YCC).T), 0, 255)


def _quantized(plane, steps):
    """A plane whose 8 x 8 blocks' cosine coefficients are whole multiples of their steps."""
    blocks = plane.reshape(plane.shape[0] // 8, 8, plane.shape[1] // 8, 8)
    coefficients = jnp.einsum("ui,aibj,vj->aubv", _COSINES, blocks, _COSINES)
    steps = steps[:, None]  # [8, 1, 8]
    coefficients = jnp.round(coefficients / steps) * steps
    return jnp.einsum("ui,aubv,vj->aibj", _COSINES, coefficients, _COSINES).reshape(plane.shape)

"""Close-ups of candidates: onset and apex as pictures that cover each other, and larger motion."""

from typing import Any

import numpy as np

from micron_jax.app.data_urls import jpeg_url
from micron_jax.faces.registration import register_crops, shrink
from micron_jax.pretrained import MicronBert
from micron_jax.visualization.magnified import FACTOR, magnified

QUALITY = 92


def close_up(
    model: MicronBert, onset: np.ndarray, apex: np.ndarray, *, faces: bool
) -> dict[str, Any]:
    """The close-up of a pair, JSON-ready.

    Args:
      onset, apex: uint8 [V, V, 3].
      faces: they are aligned faces.

    Returns:
      `flicker`: the onset, and the apex registered onto it; `magnified`: from the onset to `factor`
      times the displacement, empty where the checkpoint tells none, or where the head moves too
      much to say; JPEGs as data URLs.
    """
    registered, _ = register_crops(apex, onset, faces=faces)
    pictures, size = [], model.config.img_size
    if model.config.displacement_width:
        small, small_onset = shrink(np.stack([registered, onset]), size)[:, None]
        motion = model.motion(small, small_onset)
        lit = np.asarray(motion.lit)[0]
        if not np.asarray(motion.unsure)[0] and lit.any():
            pictures = magnified(onset, lit, size)
    return {
        "flicker": [jpeg_url(onset, QUALITY), jpeg_url(registered, QUALITY)],
        "magnified": [jpeg_url(picture, QUALITY) for picture in pictures],
        "factor": FACTOR,
    }

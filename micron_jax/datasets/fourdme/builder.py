"""The TFDS builder of 4DME."""

from micron_jax.datasets.clips_builder import ClipBuilder
from micron_jax.datasets.fourdme import FOURDME, INSTRUCTIONS


class Fourdme(ClipBuilder):
    """4DME, a clip an example."""

    SET = FOURDME
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

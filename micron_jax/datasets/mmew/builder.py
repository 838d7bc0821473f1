"""The TFDS builder of MMEW."""

from micron_jax.datasets.clips_builder import ClipBuilder
from micron_jax.datasets.mmew import INSTRUCTIONS, MMEW


class Mmew(ClipBuilder):
    """MMEW, a clip an example."""

    SET = MMEW
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

"""The TFDS builder of SAMM."""

from micron_jax.datasets.clips_builder import ClipBuilder
from micron_jax.datasets.samm import INSTRUCTIONS, SAMM


class Samm(ClipBuilder):
    """SAMM, a clip an example."""

    SET = SAMM
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

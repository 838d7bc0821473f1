"""The TFDS builder of CASME II."""

from micron_jax.datasets.casme2 import CASME2, INSTRUCTIONS
from micron_jax.datasets.clips_builder import ClipBuilder


class Casme2(ClipBuilder):
    """CASME II, a clip an example."""

    SET = CASME2
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

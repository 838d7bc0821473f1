"""The TFDS builders of CAS(ME)3."""

from micron_jax.datasets.casme3 import CASME3, CASME3_C, INSTRUCTIONS
from micron_jax.datasets.clips_builder import ClipBuilder


class Casme3(ClipBuilder):
    """CAS(ME)3 part A, a clip an example."""

    SET = CASME3
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS


class Casme3C(ClipBuilder):
    """CAS(ME)3 part C, a clip an example."""

    SET = CASME3_C
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

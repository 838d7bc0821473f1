"""The TFDS builders of SMIC."""

from micron_jax.datasets.clips_builder import ClipBuilder
from micron_jax.datasets.smic import INSTRUCTIONS, SMIC_HS, SMIC_NIR, SMIC_VIS


class SmicHs(ClipBuilder):
    """SMIC, high-speed camera, a clip an example."""

    SET = SMIC_HS
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS


class SmicVis(ClipBuilder):
    """SMIC, visible light, a clip an example."""

    SET = SMIC_VIS
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS


class SmicNir(ClipBuilder):
    """SMIC, near infrared, a clip an example."""

    SET = SMIC_NIR
    MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS

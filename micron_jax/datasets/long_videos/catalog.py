"""The sets of long videos by name."""

from micron_jax.checks import did_you_mean
from micron_jax.datasets.long_videos.casme3_lv import CASME3_LV
from micron_jax.datasets.long_videos.casme_sq import CASME_SQ
from micron_jax.datasets.long_videos.longset import LongSet
from micron_jax.datasets.long_videos.samm_lv import SAMM_LV
from micron_jax.errors import UserError

LONG_SETS = {spec.name: spec for spec in (CASME_SQ, SAMM_LV, CASME3_LV)}


def long_set(name: str) -> LongSet:
    """Returns the description of a set; UserError if no set has this name."""
    if name not in LONG_SETS:
        raise UserError(f"no set of long videos {name!r}; {did_you_mean(name, LONG_SETS)}")
    return LONG_SETS[name]

"""The labeled benchmarks by name."""

from micron_jax.checks import did_you_mean
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.casme3 import CASME3, CASME3_C
from micron_jax.datasets.clipset import ClipSet
from micron_jax.datasets.dfme import DFME
from micron_jax.datasets.fourdme import FOURDME
from micron_jax.datasets.mmew import MMEW
from micron_jax.datasets.samm import SAMM
from micron_jax.datasets.smic import SMIC_HS, SMIC_HS_E, SMIC_NIR, SMIC_VIS, SMIC_VIS_E
from micron_jax.errors import UserError

SETS = {
    spec.name: spec
    for spec in (
        CASME2,
        SAMM,
        SMIC_HS,
        SMIC_VIS,
        SMIC_NIR,
        SMIC_HS_E,
        SMIC_VIS_E,
        CASME3,
        CASME3_C,
        MMEW,
        FOURDME,
        DFME,
    )
}


def clip_set(name: str) -> ClipSet:
    """Returns the description of a benchmark; UserError if no benchmark has this name."""
    if name not in SETS:
        raise UserError(f"no benchmark {name!r}; {did_you_mean(name, SETS)}")
    return SETS[name]

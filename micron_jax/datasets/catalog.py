"""The labeled benchmarks by name; light, so that help and lists are quick."""

import importlib
from typing import Any

from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.casme3 import CASME3, CASME3_C
from micron_jax.datasets.clipset import ClipSet
from micron_jax.datasets.fourdme import FOURDME
from micron_jax.datasets.mmew import MMEW
from micron_jax.datasets.samm import SAMM
from micron_jax.datasets.smic import SMIC_HS, SMIC_NIR, SMIC_VIS
from micron_jax.errors import UserError

# Set -> (module of its builder below `datasets`, class in it).
BUILDERS = {
    "casme2": ("casme2", "Casme2"),
    "samm": ("samm", "Samm"),
    "smic_hs": ("smic", "SmicHs"),
    "smic_vis": ("smic", "SmicVis"),
    "smic_nir": ("smic", "SmicNir"),
    "casme3": ("casme3", "Casme3"),
    "casme3_c": ("casme3", "Casme3C"),
    "mmew": ("mmew", "Mmew"),
    "fourdme": ("fourdme", "Fourdme"),
}
ALL = (CASME2, SAMM, SMIC_HS, SMIC_VIS, SMIC_NIR, CASME3, CASME3_C, MMEW, FOURDME)
SETS = {spec.name: spec for spec in ALL}


def clip_set(name: str) -> ClipSet:
    """What a benchmark is; UserError if no such is known."""
    if name not in SETS:
        raise UserError(f"no benchmark {name!r}; there are: {', '.join(SETS)}")
    return SETS[name]


def builder_class(name: str) -> type[Any]:
    """The benchmark's TFDS builder, a `ClipBuilder`; UserError if no such is known."""
    clip_set(name)
    module, kind = BUILDERS[name]
    return getattr(importlib.import_module(f"micron_jax.datasets.{module}.builder"), kind)

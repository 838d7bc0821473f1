"""Spotting: the energy of what came and went over time, and candidate micro-expressions in it."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    timeline="Timeline measure_timeline",
    intervals="Interval find_intervals",
    spotted="Spotted spot",
)

"""Needs of a pretraining on machines that are not here: memory, arithmetic, time."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__,
    chips="CHIPS parse_topology",
    steps="compile_step devices_of estimate_step prepare",
    batch="largest_batch",
    report="make_report",
)

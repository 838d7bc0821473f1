"""Export: what a network computes, as one file that runs without micron_jax."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, computation="Computation", files="write")

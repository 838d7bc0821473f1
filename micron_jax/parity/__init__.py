"""Parity with the PyTorch release: live runs of it, recordings, checks layer by layer."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__, recorded="Check Recording read write", live="record", inputs="make_views"
)

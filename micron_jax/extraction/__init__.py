"""Features of every frame of clips, written to one output."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, extract_features="extract")

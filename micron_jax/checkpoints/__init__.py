"""Checkpoints: reading any kind, writing folders, `.safetensors` and `.pth`."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__, load="read", files="save", weights="Weights", classifier="Classifier"
)

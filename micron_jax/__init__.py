"""Micron-BERT in JAX/Flax: self-supervised facial micro-expression recognition."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micron_jax.interactive import look, read_face, spot
    from micron_jax.pretrained import MicronBert, load

__version__ = "0.2.0"
__all__ = ["MicronBert", "__version__", "load", "look", "read_face", "spot"]


def __getattr__(name: str):
    # jax takes a second to import: `micron-jax --help` does not wait for it.
    if name in ("load", "MicronBert"):
        from micron_jax import pretrained

        return getattr(pretrained, name)
    if name in ("look", "read_face", "spot"):
        from micron_jax import interactive

        return getattr(interactive, name)
    raise AttributeError(f"module 'micron_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    import pkgutil

    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted({*globals(), *__all__, *modules})

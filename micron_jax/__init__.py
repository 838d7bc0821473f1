"""Micron-BERT in JAX/Flax: self-supervised facial micro-expression recognition."""

__version__ = "0.2.0"
__all__ = ["MicronBert", "__version__", "load"]


def __getattr__(name: str):
    # jax takes a second to import: `micron-jax --help` does not wait for it.
    if name in ("load", "MicronBert"):
        from micron_jax import pretrained

        return getattr(pretrained, name)
    raise AttributeError(f"module 'micron_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    import pkgutil

    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted({*globals(), *__all__, *modules})

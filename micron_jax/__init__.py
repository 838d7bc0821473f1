"""Micron-BERT in JAX/Flax: self-supervised facial micro-expression recognition."""

__version__ = "0.1.0"


def __getattr__(name: str):
    # jax takes a second to import: nobody should wait for it before it is needed.
    if name in ("load", "MicronBert"):
        from micron_jax import pretrained

        return getattr(pretrained, name)
    raise AttributeError(f"module 'micron_jax' has no attribute {name!r}")

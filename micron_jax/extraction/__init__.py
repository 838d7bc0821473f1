"""Features of every frame of clips, written to one output."""

__all__ = ["extract"]


def __getattr__(name: str):
    if name in __all__:  # jax takes a second to import
        from micron_jax.extraction.extract_features import extract

        return extract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

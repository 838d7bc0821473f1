"""Workbooks and exported tables as people have them, judged by their content, not by their name."""

from micron_jax.lazy import public_names

__getattr__, __dir__, __all__ = public_names(
    __name__, cells="Cell Sheet", workbook="SUFFIXES Workbook open_workbook"
)

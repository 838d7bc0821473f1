"""Workbooks and exported tables as people have them, judged by their content, not by their name."""

from micron_jax.datasets.sheets.workbook import SUFFIXES, open_workbook

__all__ = ["SUFFIXES", "open_workbook"]

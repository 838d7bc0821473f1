"""The build of a set of one's own."""

import tempfile
from pathlib import Path

from micron_jax.checks import choose
from micron_jax.datasets.clips import WITH_FRAMES
from micron_jax.datasets.clips_builder import build_plan, mark_synthetic
from micron_jax.datasets.own import OWN
from micron_jax.datasets.own.plan import plan


def build_own(
    source: str | Path, data_dir: str | Path, *, keep: str = "clip", strict: bool = False
) -> bool:
    """Builds the set of a table of clips, whole or not at all.

    Args:
      source: the table; see `micron_jax.datasets.own.INSTRUCTIONS`.
      data_dir: where data sets lie; this one goes to `data_dir/own/KEEP/1.0.0`.
      keep: `pair` (onset and apex) or `clip` (all frames from onset to offset).
      strict: refuse, instead of skipping rows that cannot be used and keeping clips with gaps.

    Returns:
      True if it was built, False if it was already there, of the same table and settings.

    Raises:
      UserError: the table cannot be read; no row can be used, or, if strict, one cannot; another
        set lies in `data_dir`; it cannot be written.
    """
    choose("", {"keep": keep}, keep=WITH_FRAMES)
    with tempfile.TemporaryDirectory() as scratch:
        todo = plan(Path(source), keep, Path(scratch))
        mark_synthetic(todo, Path(source).parent)
        return build_plan(OWN, todo, source, data_dir, keep=keep, strict=strict)

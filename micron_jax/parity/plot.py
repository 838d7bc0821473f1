"""A plot of the error of a comparison by depth."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from micron_jax.files import write_whole, writing
from micron_jax.parity.recorded import Check

_LEAST = 1e-9  # float32 has about 6e-8; no error at all is drawn here
_SOUND, _FAILED, _BOUND = "#2f6f9f", "#c8372d", "#7a7a7a"


def draw(checks: Sequence[Check], path: Path) -> None:
    """Writes a PNG: a dot a check in their order, red beyond its bound, on a logarithmic scale.

    Raises:
      UserError: it cannot be written.
    """
    figure = Figure(figsize=(max(6.4, 0.3 * len(checks)), 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    x = np.arange(len(checks))
    # Infinite and NaN errors belong at the top, not out of sight.
    errors = np.clip(np.nan_to_num([c.error for c in checks], nan=1e3, posinf=1e3), _LEAST, 1e3)
    colors = [_SOUND if check.ok else _FAILED for check in checks]
    axes.vlines(x, _LEAST, errors, colors=colors, linewidth=1)
    axes.scatter(x, errors, c=colors, s=28, zorder=3)
    bounds = [check.bound for check in checks]
    axes.step(x, bounds, _BOUND, where="mid", linestyle="--", linewidth=1)
    axes.annotate("bound", (0, bounds[0]), (0, 4), textcoords="offset points", color=_BOUND)
    axes.set_yscale("log")
    axes.set_ylim(_LEAST, max(1e-3, 3 * errors.max()))
    axes.set_xlim(-0.7, len(checks) - 0.3)
    names = [check.name for check in checks]
    axes.set_xticks(x, names, rotation=60, ha="right", fontsize=8, rotation_mode="anchor")
    axes.set_ylabel("max |JAX − release| / max |release|")
    failed = [check.name for check in checks if not check.ok]
    verdict = f"first to differ: {failed[0]}" if failed else "all within their bounds"
    axes.set_title(f"Error by depth, {len(checks)} checks: {verdict}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    with writing(path):
        write_whole(path, out.getvalue())

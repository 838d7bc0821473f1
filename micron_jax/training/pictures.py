"""Pictures of a run: frames, reconstruction and motion map of pairs; curves of the losses."""

import io
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no screen on a training machine

import matplotlib.pyplot as plt

from micron_jax.files import write_whole

COLUMNS = ("frame t", "frame t+δ", "swapped", "reconstruction", "motion map")


def draw_pairs(path: Path, images: dict[str, np.ndarray], *, title: str) -> None:
    """Draws a PNG with a row a pair: frames, swapped one, reconstruction, motion map over it.

    Args:
      path: written whole or not at all.
      images: uint8 [B, S, S, 3] under `cur`, `ref`, `rep`, `pred`; float [B, h, w] under `map`.
    """
    rows, side = images["cur"].shape[:2]
    figure, axes = plt.subplots(
        rows, 5, figsize=(10.6, 2 * rows + 0.7), squeeze=False, layout="constrained"
    )
    # One scale for all rows, from no motion up; a single patch does not set it.
    motion = np.clip(images["map"], 0, None)
    top = max(np.percentile(motion, 99), 1e-6)
    for axis, name in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(name, fontsize=9)
    for row in range(rows):
        for axis, name in zip(axes[row], ("cur", "ref", "rep", "pred", "cur"), strict=True):
            axis.imshow(images[name][row])
            axis.set_axis_off()
        shown = axes[row, 4].imshow(
            motion[row],
            extent=(-0.5, side - 0.5, side - 0.5, -0.5),
            vmin=0,
            vmax=top,
            cmap="inferno",
            alpha=0.8 * np.clip(motion[row] / top, 0, 1),  # the face shows where nothing moved
        )
    figure.colorbar(
        plt.cm.ScalarMappable(shown.norm, shown.cmap),
        ax=axes[:, 4],
        fraction=0.08,
        label="symmetric motion map, logits (not below 0)",
    )
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def draw_curves(path: Path, metrics: list[dict], *, title: str) -> None:
    """Draws the losses over the steps, each on its own scale; see `telemetry.read_metrics`."""
    names = ("loss", "reconstruction", "agreement", "grad_norm", "feature_spread")
    figure, axes = plt.subplots(1, len(names), figsize=(3 * len(names), 2.8), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        for shown, label in ((name, "training"), (f"validation_{name}", "held-out clips")):
            rows = [row for row in metrics if shown in row]
            if rows:
                steps = [row["step"] for row in rows]
                axis.plot(steps, [row[shown] for row in rows], linewidth=1, label=label)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if len(axis.lines) > 1:
            axis.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    plt.close(figure)
    write_whole(path, png.getvalue())

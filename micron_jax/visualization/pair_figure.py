"""The figure of a pair of frames: what moved, and, if asked for, what the network looks at."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from micron_jax.faces.parts import oval
from micron_jax.visualization.overlay import LABELS, legend_below, show_face, show_map, tint, top_of
from micron_jax.visualization.pairs import PairView

COLUMNS = 4
SIDE = 3.0  # inches: the longer side of a picture; 224 px of a face take 450 at 150 dpi
HEAD, BAR, FOOT = 0.5, 0.12, 0.55  # inches: of titles, of a color bar, and of its labels
GAP = 0.12  # inches between two pictures


class Panel(NamedTuple):
    """A picture of the figure.

    Attributes:
      draw: on an axis; returns the scale of a map.
      label: of the color bar below it; empty: there is none.
      span: columns of the color bar, which ends at this picture.
    """

    draw: Callable[..., ScalarMappable | None]
    label: str = ""
    span: int = 1


def draw_pair(
    view: PairView, *, title: str = "", aspect: float = 1.0, details: bool = False
) -> Figure:
    """Draws the frames and the maps of a pair, each map with its scale.

    Args:
      aspect: width over height of what the square crops show.
      details: also what the network looks at: its Patch of Interest, CLS attention, reconstruction.

    Returns:
      A matplotlib figure, which no window shows: `figure.savefig(path)`, or in a notebook its name.
    """
    rows = [_row_of_maps(view, aspect)]
    if details:
        panels = _details(view, aspect)
        rows += [panels[n : n + COLUMNS] for n in range(0, len(panels), COLUMNS)]
    width, height = SIDE * min(1, aspect), SIDE * min(1, 1 / aspect)
    row_height = HEAD + height + BAR + FOOT
    columns = max(map(len, rows))
    size = columns * width + (columns - 1) * GAP, len(rows) * row_height + 0.3
    figure = Figure(figsize=size)

    def place(column: int, row: int, below: float, high: float, wide: float = width):
        left, top = column * (width + GAP), 0.3 + row * row_height + below
        box = left / size[0], 1 - (top + high) / size[1], wide / size[0], high / size[1]
        return figure.add_axes(box)

    for row, panels in enumerate(rows):
        for column, (draw, label, span) in enumerate(panels):
            scale = draw(place(column, row, HEAD, height))
            if label:
                wide = span * width + (span - 1) * GAP
                left = column - span + 1
                legend_below(place(left, row, HEAD + height + 0.06, BAR, wide), scale, label)
    figure.suptitle(title, fontsize=10, y=1 - 0.12 / size[1])
    return figure


def _row_of_maps(view: PairView, aspect: float) -> list[Panel]:
    """The two frames, and what moved between them."""

    def picture(image: np.ndarray, title: str) -> Panel:
        return Panel(lambda axis: show_face(axis, image, title, aspect))

    frame = picture(view.frame, "frame")
    if view.apart:  # maps would show anything but an expression
        return [frame, picture(view.reference, "not one face in one pose: no map")]
    refused = bool(view.registration.refused)
    reference = "reference (not registered)" if refused else "reference, registered"
    top, flow_top = top_of(view.motion_map, view.kind), top_of(view.flow, "flow")
    shared = view.kind == "motion"  # both in px: one scale
    flow_top = top if shared else flow_top

    def motion(axis) -> ScalarMappable:
        return show_map(axis, view.frame, view.motion_map, top, _title(view), aspect)

    def flow(axis) -> ScalarMappable:
        title = "optical flow left (no network)"
        return show_map(axis, view.frame, view.flow, flow_top, title, aspect)

    labels = ("", LABELS["motion"]) if shared else (LABELS[view.kind], "px of the network's input")
    return [
        frame,
        picture(view.registered, reference),
        Panel(motion, labels[0]),
        Panel(flow, labels[1], 2 if shared else 1),
    ]


def _title(view: PairView) -> str:
    if view.kind != "motion":
        return f"{view.kind} map"
    floor = float(np.median(view.motion.floor[oval(len(view.motion_map))]))
    return f"motion above the noise floor (about {floor:.2f} px)"


def _details(view: PairView, aspect: float) -> list[Panel]:
    """What the network looks at, and the plain difference."""
    face = view.frame
    low, high = (float(level) for level in np.percentile(view.interest, (1, 99)))
    high = max(high, low + 1e-6)

    def interest(axis) -> ScalarMappable:
        tinted = tint(face, view.interest, low, high, "viridis")
        show_face(axis, tinted, "Patch of Interest", aspect)
        return ScalarMappable(Normalize(low, high), "viridis")

    def attention(head: int, axis) -> ScalarMappable:
        top, values = float(view.cls_attention.max()), view.cls_attention[head]
        return show_map(axis, face, values, top, f"CLS attention, head {head + 1}", aspect)

    def difference(axis) -> ScalarMappable:
        values = np.abs(face.astype(np.int16) - view.registered).mean(axis=-1)
        limit = max(float(np.percentile(values, 99)), 8.0)
        gray = np.rint(255 * np.clip(values / limit, 0, 1)).astype(np.uint8)
        show_face(axis, np.stack([gray] * 3, axis=-1), "|frame − reference|", aspect)
        return ScalarMappable(Normalize(0, limit), "gray")

    def reconstruction(axis) -> None:
        show_face(axis, view.reconstruction, "reconstruction", aspect)

    heads = range(len(view.cls_attention))
    panels = [
        Panel(interest, "cosine with the CLS token"),
        *(Panel(functools.partial(attention, head), "softmax weight") for head in heads),
        Panel(difference, "gray levels"),
    ]
    return panels if view.reconstruction is None else [*panels, Panel(reconstruction)]

"""Contact sheets: one picture of all crops, a tile a clip with its name."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from micron_jax.video import image_files

TILES = 100
SIDE, LABEL, GAP = 160, 18, 6  # pixels: of a tile, of the line below it, between tiles
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4


def spread(count: int, most: int) -> list[int]:
    """Returns at most `most` of the numbers 0 .. count - 1, evenly apart."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, most)).round()})


def tile(crop: np.ndarray, aspect: float) -> np.ndarray:
    """Fits a crop into uint8 [SIDE, SIDE, 3] on white, its width `aspect` times its height."""
    width, height = min(1, aspect) * SIDE, min(1, 1 / aspect) * SIDE
    size = (max(1, round(width)), max(1, round(height)))
    filtered = cv2.INTER_AREA if crop.shape[0] > SIDE else cv2.INTER_CUBIC
    small = cv2.resize(crop, size, interpolation=filtered)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    margins = top, SIDE - size[1] - top, left, SIDE - size[0] - left
    return cv2.copyMakeBorder(small, *margins, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def shorten(name: str) -> str:
    """Cuts a name to what fits below a tile: its end, which tells clips apart."""
    text = name.encode("ascii", "replace").decode()  # OpenCV writes nothing else
    short = text
    while cv2.getTextSize(short, FONT, SCALE, 1)[0][0] > SIDE - 4:
        text = text[1:]
        short = f"..{text}"
    return short


def png(folder: Path, entries: Sequence[dict]) -> bytes:
    """Draws the contact sheet of a folder of crops and the clips' entries in `crops.json` as a PNG.

    It shows the middle frame of each of at most `TILES` clips. A whole frame that was made square
    gets its aspect back.
    """
    shown = [entries[n] for n in spread(len(entries), TILES)]
    columns = min(len(shown), max(4, math.ceil(math.sqrt(len(shown)))))
    rows = math.ceil(len(shown) / columns)
    step = np.array([SIDE + LABEL + GAP, SIDE + GAP])
    sheet = np.full((*(step * (rows, columns) + GAP), 3), 255, np.uint8)
    for n, entry in enumerate(shown):
        place = folder / entry["folder"]
        names = [name for name in os.listdir(place) if name.endswith(".jpg")]
        middle = sorted(names, key=lambda name: int(Path(name).stem))[len(names) // 2]
        width, height = entry["frame_size"]
        aspect = width / height if entry["landmarks"] is None else 1.0
        y, x = step * divmod(n, columns) + GAP
        crop = image_files.decode_jpeg((place / middle).read_bytes())
        sheet[y : y + SIDE, x : x + SIDE] = tile(crop, aspect)
        at = (int(x) + 2, int(y) + SIDE + 13)
        cv2.putText(sheet, shorten(entry["clip"]), at, FONT, SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()

"""A portrait of nobody, drawn: for the pictures of the README, and for tests that need a face.

The real detector finds it, and its skin has enough grain for motion to be seen.
"""

import cv2
import numpy as np

SIDE = 640  # px; drawn in units of these
# As `faces.landmarks` has them: eyes, nose, corners of the mouth, (x, y) in px.
LANDMARKS = np.array([[258, 300], [382, 300], [320, 396], [264, 462], [376, 462]], np.float64)


def portrait(seed: int = 0) -> np.ndarray:
    """A face from the front, RGB uint8 [640, 640, 3]; another seed is another person."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    skin = np.array([214, 168, 140]) + rng.uniform(-1, 1) * np.array([34, 36, 34])
    hair = np.array([70, 48, 36]) * rng.uniform(0.4, 1.6)
    iris = np.array([[88, 110, 70], [90, 60, 40], [70, 100, 130]][rng.integers(3)])
    wide = rng.uniform(0.94, 1.04)

    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = (0.55 + 0.35 * y / SIDE)[..., None] * np.array([150, 165, 175])

    def paint(color, mask, strength=1.0):
        nonlocal image
        part = (strength * mask)[..., None]
        image = image * (1 - part) + part * np.asarray(color, np.float32)

    def oval(cx, cy, rx, ry, soft=2.0, turn=0.0):
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        u, v = c * (x - cx) + s * (y - cy), -s * (x - cx) + c * (y - cy)
        away = np.sqrt((u / rx) ** 2 + (v / ry) ** 2)
        return np.clip((1 - away) * min(rx, ry) / soft + 0.5, 0, 1)

    def strokes(lines, width, soft=1.5):
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        points = [np.rint(np.asarray(line) * 8).astype(np.int32) for line in lines]
        cv2.polylines(canvas, points, False, 255, width, cv2.LINE_AA, 3)
        return cv2.GaussianBlur(canvas, (0, 0), soft).astype(np.float32) / 255

    def between(one, other, soft=1.6):
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        ring = np.concatenate([one, other[::-1]])
        cv2.fillPoly(canvas, [np.rint(ring * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
        return cv2.GaussianBlur(canvas, (0, 0), soft).astype(np.float32) / 255

    head = oval(320, 320, 158 * wide, 215, 3)
    paint(hair, oval(320, 262, 188 * wide, 200, 6))
    paint([88, 98, 120], oval(320, 700, 300, 150, 4))
    paint(0.72 * skin, oval(320, 545, 82, 110, 6))
    for side in (-1, 1):
        paint(0.85 * skin, oval(320 + side * 160 * wide, 330, 20, 44, 4))
    # Light from the upper left; darker toward the edge, below the brows, the nose and the lips.
    light = 1.08 - 0.0006 * (x - 250) - 0.0004 * (y - 250)
    round_ = np.clip(
        1 - ((x - 320) / (158 * wide)) ** 4 * 0.30 - ((y - 320) / 215) ** 4 * 0.25, 0, 1
    )
    paint(0, head)
    image += head[..., None] * (light * round_)[..., None] * skin
    for side in (-1, 1):
        paint([205, 120, 110], oval(320 + side * 84, 392, 52, 38, 40), 0.22)  # cheeks
        paint(0.55 * skin, oval(320 + side * 62, 288, 48, 26, 22), 0.40)  # sockets
    # Hairline.
    top = oval(320, 150, 172 * wide, 86, 10) * (1 - oval(320, 330, 150 * wide, 172, 10))
    paint(hair, top)
    # Freckles, and brows a hair at a time.
    angles, away = rng.uniform(0, 2 * np.pi, 60), np.sqrt(rng.uniform(0, 1, 60))
    spots = [[(cx, cy)] * 2 for cx, cy in zip(
        320 + 130 * away * np.cos(angles), 350 + 150 * away * np.sin(angles), strict=True
    )]  # fmt: skip
    paint(0.6 * skin, strokes(spots, 4) * head, 0.6)
    hairs = []
    for side in (-1, 1):
        for part in rng.uniform(0, 1, 90):
            begin = 320 + side * (30 + 72 * part), 262 - 14 * np.sin(np.pi * (0.25 + 0.6 * part))
            begin += rng.uniform((0, -4), (0, 5))
            end = begin[0] + side * rng.uniform(6, 13), begin[1] + rng.uniform(-7, 1)
            hairs.append([begin, end])
    paint(0.8 * hair, strokes(hairs, 2, 0.9), 0.9)
    for side in (-1, 1):
        cx, cy = 320 + side * 62, 300
        eye = oval(cx, cy, 33, 15, 2.5)
        paint([238, 234, 228], eye)
        paint(iris, oval(cx, cy - 1, 14, 14, 2) * eye)
        paint([18, 14, 12], oval(cx, cy - 1, 6.5, 6.5, 1.5) * eye)
        paint([255, 255, 255], oval(cx - 5, cy - 6, 3, 3, 1.5) * eye)
        arc = [(cx + 34 * np.cos(a), cy + 1 - 16 * np.sin(a)) for a in np.linspace(0, np.pi, 24)]
        paint([40, 28, 24], strokes([arc], 4, 1.2), 0.9)
        fold = [(px, py - 9) for px, py in arc[3:-3]]
        paint(0.55 * skin, strokes([fold], 3, 1.8), 0.55)
        under = [(cx + 32 * np.cos(a), cy + 15 * np.sin(a)) for a in np.linspace(0.2, 2.9, 24)]
        paint(0.6 * skin, strokes([under], 2, 1.5), 0.6)
    # Nose.
    paint(1.12 * skin, oval(314, 345, 10, 58, 14), 0.35)
    paint(0.7 * skin, oval(341, 350, 10, 52, 14), 0.35)
    paint(1.1 * skin, oval(318, 392, 20, 16, 12), 0.40)
    for side in (-1, 1):
        paint(0.72 * skin, oval(320 + side * 26, 398, 12, 14, 8), 0.40)
        paint([70, 38, 34], oval(320 + side * 13, 409, 8, 4.5, 3, 14 * side), 0.75)
    # Lips.
    mouth = np.array([172, 88, 84]) * (0.75 + 0.25 * skin.mean() / 174)
    xs = np.linspace(262, 378, 60)
    u = (xs - 320) / 58
    upper = 462 - 15 * (1 - u**2) + 7 * np.exp(-((u / 0.16) ** 2))
    middle = 464 + 3 * np.cos(np.pi * u) * (1 - u**2)
    lower = 464 + 23 * (1 - np.abs(u) ** 2.4)
    for edge, shade in ((upper, 0.86), (lower, 1.06)):
        paint(shade * mouth, between(np.c_[xs, edge], np.c_[xs, middle]), 0.9)
    paint([70, 30, 32], strokes([np.c_[xs, middle]], 3, 1.2), 0.85)
    paint([240, 170, 160], oval(316, 478, 20, 4, 5), 0.35)
    paint(0.7 * skin, oval(320, 502, 44, 9, 12), 0.40)
    # Pores.
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.6)
    image += 26 * grain[..., None] * head[..., None]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)

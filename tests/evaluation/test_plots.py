import base64
import re

import cv2
import numpy as np
import pytest

from micron_jax.evaluation.plots import (
    curve_figure,
    gradient,
    map_over,
    nice_ticks,
    picture_address,
)
from micron_jax.evaluation.report import TEMPLATES


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.16, 1.02, [0, 0.25, 0.5, 0.75, 1, 1.25]),
        (0.0, 1.0, [0, 0.25, 0.5, 0.75, 1]),
        (3, 41, [0, 10, 20, 30, 40, 50]),
        (-2, 2, [-2, -1, 0, 1, 2]),
        (0.001, 0.0031, [0.001, 0.002, 0.003, 0.004]),
    ],
)
def test_ticks(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_ticks_of_one_value_hold_it():
    for value in (0.0, 0.3, 1e6):
        ticks = nice_ticks(value, value)
        assert ticks[0] <= value <= ticks[-1]
        assert ticks[0] < ticks[-1]


def test_epochs_are_gathered_over_folds_and_seeds():
    rows = {("0", "a", 1): {"train_loss": 3.0}, ("0", "b", 1): {"train_loss": 1.0}}
    rows |= {("1", "a", 1): {"train_loss": 2.0}, ("0", "a", 0): {"train_loss": 9.0}}
    rows |= {("1", "a", 0): {"train_loss": float("nan")}}
    figure = curve_figure(rows, "train_loss", "Loss")
    assert figure["epochs"] == [0, 1]
    assert (figure["low"], figure["middle"], figure["high"]) == ([9, 1], [9, 2], [9, 3])
    assert figure["ticks"] == [0, 2, 4, 6, 8, 10]
    assert curve_figure(rows, "train_accuracy", "Accuracy") is None


def test_a_curve_fills_its_axes():
    curve = TEMPLATES.get_template("figures.html").module.curve
    figure = {"title": "Loss", "epochs": [1, 3], "low": [0, 1], "high": [2, 4], "middle": [1, 2]}
    svg = str(curve(figure | {"ticks": [0, 2, 4]}))
    assert 'aria-label="Loss"' in svg
    assert '<line class="grid" x1="46" x2="408" y1="99.0" y2="99.0"/>' in svg
    assert '<g transform="translate(-135.0 190.0) scale(181.0 -45.5)">' in svg
    assert 'class="band" points="1,0 3,1 3,4 1,2 ' in svg
    one_epoch = {name: values[:1] for name, values in figure.items() if name != "title"}
    assert "nan" not in str(curve(one_epoch | {"title": "Loss", "ticks": [0, 2]}))


def test_an_address_contains_the_frame():
    y, x = np.mgrid[:40, :30]
    image = np.stack([4 * y, 5 * x, 90 + 0 * x], -1).astype(np.uint8)
    kind, data = picture_address(image).split(",")
    assert kind == "data:image/jpeg;base64"
    jpeg = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_allclose(jpeg[..., ::-1], image, atol=12)
    large = picture_address(np.zeros((800, 400, 3), np.uint8)).split(",")[1]
    assert cv2.imdecode(np.frombuffer(base64.b64decode(large), np.uint8), 1).shape == (320, 160, 3)


def test_the_legend_has_the_colors_of_the_map():
    colors = re.findall("#[0-9a-f]{6}", gradient())
    top = map_over(np.zeros((8, 8, 3), np.uint8), np.full((2, 2), 9.0, np.float32), top=4.0)
    assert len(colors) == 9
    np.testing.assert_allclose([*bytes.fromhex(colors[-1][1:])], top[0, 0] / 0.8, atol=2)


def test_maps_color_what_moved():
    image = np.full((8, 8, 3), 100, np.uint8)
    motion = np.array([[0, 4], [-3, np.nan]], np.float32)
    picture = map_over(image, motion, top=4.0)
    assert (picture[:2, :2] == 100).all()
    assert (picture[6:, :2] == 100).all()
    assert picture[0, 7].tolist()[0] > 200  # inferno's top is pale yellow

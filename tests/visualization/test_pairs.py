import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights

from micron_jax.faces.registration import register_crops
from micron_jax.pretrained import MicronBert
from micron_jax.spotting import measure_timeline
from micron_jax.visualization.overlay import LABELS, top_of
from micron_jax.visualization.pair_figure import draw_pair
from micron_jax.visualization.pairs import PairView, compare_pair

pytestmark = pytest.mark.usefixtures("quickly")


def test_figures_keep_the_aspect():
    rng = np.random.default_rng(0)
    image, values = drawn.texture(1, (64, 64)), rng.random((4, 4))
    _, registration = register_crops(image, image)
    view = PairView(
        image, image, image, registration, "cosine", values, None, *[values] * 2,
        rng.random((2, 4, 4)), None,
    )  # fmt: skip
    figure = draw_pair(view, title="half as wide as high", aspect=0.5)
    faces = [axis for axis in figure.axes if axis.images]
    assert {axis.get_aspect() for axis in faces} == {2.0}
    assert len(faces) == 4
    # All of one size, at even distances.
    boxes = np.array([axis.get_position().bounds for axis in faces])
    assert np.ptp(boxes[:, 1:], axis=0).max() < 1e-6
    assert np.ptp(np.diff(boxes[:, 0])) < 1e-6
    faces = [axis for axis in draw_pair(view, details=True).axes if axis.images]
    assert len(faces) == 8  # and interest, two heads, the difference


def test_a_checkpoint_with_motion_shows_its_map():
    model = MicronBert(draw_weights(tiny.OURS, decoder=False))
    frame = drawn.texture(1, (64, 64))
    view = compare_pair(model, frame, np.roll(frame, 1, axis=0), faces=False)
    assert view.kind == "motion"
    assert view.motion_map.shape == (4, 4)
    assert view.motion_map.min() >= 0
    assert top_of(view.motion_map, "motion") == top_of(9 * view.motion_map, "motion") == 3
    labels = [axis.get_xlabel() for axis in draw_pair(view).axes]
    assert labels.count(LABELS["motion"]) == 1  # one scale, of the flow, too
    timeline = measure_timeline(model, [(n, None, frame) for n in range(3)], fps=30, faces=False)
    assert timeline.kind == "motion"


def test_a_checkpoint_without_decoder_and_frames_of_a_wrong_size():
    bare = MicronBert(draw_weights(tiny.PAPER, decoder=False))
    frame = drawn.texture(1, (200, 200))
    assert bare.reconstruct(frame[None, :32, :32], frame[None, :32, :32]) is None
    with pytest.raises(ValueError, match="a multiple of 32"):
        compare_pair(bare, frame, frame)

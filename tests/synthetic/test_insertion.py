import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.faces import landmarks as faces
from micron_jax.synthetic import action_units, insertion

POINTS = faces.CANONICAL * 224 - 0.5


def film(frames=3, side=448, scale=1.5, angle=0.1):
    """A textured face, and where its crop is: askew, larger than 224 px, in the middle."""
    image = drawn.texture(5, (side, side), grain=1.6)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    landmarks = (POINTS - 111.5) @ linear.T + (side - 1) / 2
    return np.repeat(image[None], frames, 0), np.repeat(landmarks[None], frames, 0)


def flow_in_crop(control, moved, landmarks):
    """Dense flow between two frames, [28, 28, 2] in px of the face's crop."""
    transform = faces.canonical_transform(landmarks, 448)
    gray = [
        cv2.cvtColor(cv2.warpAffine(x, transform, (448, 448), flags=cv2.INTER_CUBIC), 7)
        for x in (control, moved)
    ]
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    finder.setFinestScale(0)
    finder.setPatchSize(16)
    finder.setPatchStride(4)
    flow = finder.calc(*gray, None)
    return cv2.resize(flow, (28, 28), interpolation=cv2.INTER_AREA) / 2


@pytest.mark.parametrize(("seed", "amplitude"), [(0, 0.5), (1, 1.0), (3, 2.0), (4, 5.0)])
def test_dense_flow_finds_the_truth(seed, amplitude):
    frames, landmarks = film()
    field, shape = action_units.draw_shape(POINTS, amplitude, np.random.default_rng(seed))
    fields = insertion.sum_of([field], [[0, 0.5, 1]])
    control, there = insertion.resample(frames, landmarks, [None] * 3)
    moved, same = insertion.resample(frames, landmarks, fields)
    truth = insertion.displacement(fields)
    assert truth.shape == (3, 28, 28, 2)
    assert shape.amplitude == amplitude
    np.testing.assert_array_equal(there, same)
    np.testing.assert_allclose(there, landmarks - insertion.OFFSET)
    np.testing.assert_array_equal(moved[0], control[0])
    np.testing.assert_array_equal(truth[0], 0)
    length = np.hypot(*np.moveaxis(truth, -1, 0))
    assert 0.75 * amplitude < length[2].max() <= amplitude * 1.001
    for t in (1, 2):
        error = np.hypot(
            *np.moveaxis(flow_in_crop(control[t], moved[t], there[t]) - truth[t], -1, 0)
        )
        assert error[length[t] > 0.1 * amplitude].mean() < 0.03 + 0.03 * amplitude
        assert error[length[t] < 0.01 * amplitude].mean() < 0.03


def test_the_displacement_is_that_of_the_skin_at_its_own_place():
    """A shift by 4 px on the whole face is 4 px, though the field is one of where the skin is."""
    window = insertion.face_window()[..., None]
    shift = (window * np.float32((4, 0))).astype(np.float32)
    truth = insertion.displacement([None, shift])
    np.testing.assert_allclose(truth[1, 13, 14], (4, 0), atol=1e-3)
    grid = insertion.fine_grid()
    after = insertion.trace(shift, grid)
    # OpenCV looks up at whole steps of 1/32 of the canvas's samples, hence the tolerance.
    np.testing.assert_allclose(after - insertion.look_up(shift, after), grid, atol=0.03)


def test_all_frames_are_equally_sharp():
    frames, landmarks = film(1)
    moved, _ = insertion.resample(frames, landmarks, [None])
    again, _ = insertion.resample(frames, landmarks, [np.zeros((208, 208, 2), np.float32)])
    np.testing.assert_array_equal(moved, again)
    assert (moved != frames).any()


def test_a_crop_that_does_not_follow_the_face_sees_the_same_motion_elsewhere():
    """The crop of frame 0, of a face that has gone 16 px to the right and turned by 0.2."""
    truth = np.zeros((28, 28, 2), np.float32)
    truth[12:16, 12:16] = (0, 2)
    cos, sin = np.cos(0.2), np.sin(0.2)
    turn = np.array([[cos, -sin], [sin, cos]])
    later = (POINTS - 111.5) @ turn.T + 111.5 + (16, 0)
    held = faces.canonical_transform(POINTS, 224)
    there = insertion.seen_in(truth, later, held)
    np.testing.assert_allclose(there[13:15, 15:17].mean((0, 1)), turn @ (0, 2), atol=1e-5)
    np.testing.assert_array_equal(insertion.seen_in(truth, POINTS, held).round(5), truth)


def test_a_composed_field_moves_the_head_after_the_expression():
    rng = np.random.default_rng(0)
    expression, _ = action_units.draw_shape(POINTS, 3.0, rng)
    head = insertion.face_window(1.0, 1.9)[..., None] * np.float32((6, -3))
    both = insertion.compose(head, expression)
    grid = insertion.fine_grid()
    step = insertion.trace(head, insertion.trace(expression, grid))
    np.testing.assert_allclose(insertion.trace(both, grid), step, atol=0.07)
    assert np.abs(insertion.trace(both, grid) - step).mean() < 0.002

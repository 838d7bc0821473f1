import numpy as np
import pytest

from micron_jax.faces import landmarks
from micron_jax.synthetic import head_motion, insertion

NOSE = landmarks.CANONICAL[2] * 224
EAR = np.array([38.0, 118.0])


def moved(point, **axes):
    pose = [axes.get(name, 0.0) for name in ("yaw", "pitch", "roll", "right", "down", "near")]
    return head_motion.project(np.array([point]), np.array(pose))[0] - point


def test_a_turn_moves_the_nose_farther_than_the_ear():
    nose, ear = moved(NOSE, yaw=0.1), moved(EAR, yaw=0.1)
    assert nose[0] > ear[0] + 3
    assert abs(nose[1]) < 0.5
    nose, ear = moved(NOSE, pitch=0.07), moved(EAR, pitch=0.07)
    assert abs(nose[1]) > abs(ear[1]) + 2


def test_shift_roll_and_approach():
    np.testing.assert_allclose(
        moved((112.0, 112.0), right=3, down=-2), (3, -2), rtol=0.2
    )  # nearer: more
    turned = moved((112.0, 75.0), roll=0.05)  # 100 px above the pivot
    np.testing.assert_allclose(turned, (0.05 * 100, 0), atol=0.2)
    wider = moved((160.0, 110.0), near=15)[0] - moved((64.0, 110.0), near=15)[0]
    assert wider == pytest.approx(96 * 15 / (head_motion.CAMERA - 60), rel=0.15)


def test_the_fields_undo_the_projection():
    far = head_motion.REACH * 0.6  # all at once: farther than drawn courses go
    poses = np.stack([np.zeros(6), far, -far])
    points = insertion.fine_grid()
    inside = insertion.look_up(insertion.face_window()[..., None], points) > 0.999
    for pose, field in zip(poses, head_motion.HeadMotion(poses).fields(), strict=True):
        error = insertion.trace(field, points) - head_motion.project(points, pose)
        assert np.abs(error)[inside].max() < 0.08
        assert np.abs(field[[0, -1]]).max() == 0


def test_a_drawn_course_is_smooth_and_begins_at_rest():
    seconds = np.arange(240) / 30
    reaches = []
    for seed in range(30):
        poses = head_motion.draw(seconds, np.random.default_rng(seed)).poses
        assert (poses[0] == 0).all()
        assert (np.abs(poses) <= head_motion.REACH).all()
        assert (np.abs(np.diff(poses, n=2, axis=0)) < 0.05 * head_motion.REACH).all()
        reaches.append(np.abs(poses / head_motion.REACH).max())
    assert min(reaches) < 0.2
    assert max(reaches) > 0.5

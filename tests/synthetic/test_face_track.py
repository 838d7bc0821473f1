import numpy as np

from micron_jax.faces import landmarks
from micron_jax.synthetic import face_track

FACE = landmarks.CANONICAL * 224


def moving(seconds):
    """A face that nods and sways as people do: [T, 5, 2] px."""
    way = np.stack([10 * np.sin(2 * np.pi * 0.6 * seconds), 6 * np.sin(2 * np.pi * 1.2 * seconds)])
    return FACE + way.T[:, None]


def test_the_jitter_of_a_detector_goes_and_the_motion_of_the_head_stays():
    seconds = np.arange(90) / 30
    truth = moving(seconds)
    jitter = np.random.default_rng(0).normal(0, 1, truth.shape)
    track = face_track.follow([(points)[None] for points in truth + jitter], seconds)
    assert track.valid.all()
    error = track.landmarks - truth
    assert np.sqrt((error**2).mean()) < 0.55

    # From frame to frame, a crop by the five points shakes by far less than by those as detected.
    def shaking(points):
        centers = points.mean(axis=1) - truth.mean(axis=1)
        return np.diff(centers, axis=0).std()

    assert shaking(track.landmarks) < 0.1 < 0.5 < shaking(truth + jitter)


def test_smoothing_is_the_same_backward():
    seconds = np.arange(40) / 25
    raw = moving(seconds) + np.random.default_rng(1).normal(0, 1, (40, 5, 2))
    forward = face_track.smooth(raw, seconds).landmarks
    backward = face_track.smooth(raw[::-1], seconds[-1] - seconds[::-1]).landmarks[::-1]
    np.testing.assert_allclose(forward, backward, atol=1e-6)


def test_a_short_gap_is_bridged_and_a_long_one_marked():
    seconds = np.arange(90) / 30
    truth = moving(seconds)
    faces = [points[None] for points in truth]
    for t in (*range(20, 25), *range(50, 70)):
        faces[t] = np.zeros((0, 5, 2))
    track = face_track.follow(faces, seconds)
    np.testing.assert_array_equal(np.flatnonzero(~track.valid), np.arange(50, 70))
    assert np.abs(track.landmarks - truth)[track.valid].max() < 1.5
    assert np.isfinite(track.landmarks).all()


def test_one_person_is_followed_though_others_come():
    seconds = np.arange(60) / 30
    person, other = moving(seconds), moving(seconds) * 1.5 + (400, 0)
    faces = [np.stack(pair) for pair in zip(other, person, strict=True)]
    faces[20:] = person[20:, None]
    track = face_track.follow(faces, seconds)
    np.testing.assert_allclose(track.landmarks, person, atol=0.7)


def test_a_wrong_detection_is_left_out():
    seconds = np.arange(30) / 30
    faces = [points[None] for points in moving(seconds)]
    faces[12] = faces[12] + 45.0
    track = face_track.follow(faces, seconds)
    np.testing.assert_allclose(track.landmarks, moving(seconds), atol=0.7)


def test_no_face_is_no_track_and_one_frame_is_enough():
    assert face_track.follow([np.zeros((0, 5, 2))] * 3, np.arange(3.0)) is None
    track = face_track.follow([FACE[None]], np.zeros(1))
    np.testing.assert_allclose(track.landmarks[0], FACE)

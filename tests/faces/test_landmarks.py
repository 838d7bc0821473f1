import numpy as np
import pytest
from helpers.transforms import apply, transform

from micron_jax.faces import landmarks
from micron_jax.synthetic import samples
from micron_jax.video import clip_files, reader

RNG = np.random.default_rng(0)


def test_similarity_is_recovered():
    points = RNG.uniform(0, 100, (5, 2))
    truth = transform(0.7, 0.4, (12, -5))
    np.testing.assert_allclose(landmarks.similarity(points, apply(truth, points)), truth, atol=1e-9)


def test_similarity_never_mirrors():
    points = RNG.uniform(0, 100, (5, 2))
    matrix = landmarks.similarity(points, points * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_layout_keeps_brow_and_chin_inside():
    left, right, nose, *mouth = landmarks.CANONICAL * 224
    assert np.linalg.norm(right - left) == pytest.approx(60, abs=1)
    eyes, mouth = (left + right) / 2, np.mean(mouth, 0)
    assert eyes[0] == pytest.approx(112, abs=1)
    assert eyes[0] == pytest.approx(nose[0], abs=1)
    # Anthropometry: chin about 1.8 and hairline about 1.1 times the way from eyes to mouth.
    drop = mouth[1] - eyes[1]
    assert eyes[1] + 1.8 * drop < 224
    assert eyes[1] - 1.1 * drop > 0


def a_face(x=0.0, y=0.0, side=100.0):
    """Landmarks of a face whose crop has this side and begins at (x, y)."""
    return landmarks.CANONICAL * side + (x, y)


def no_face():
    return np.zeros((0, 5, 2))


def test_find_landmarks_takes_the_median_of_the_first_faces():
    numbers = []

    def detect(frame):
        numbers.append(int(frame))
        return a_face([1, 2, 3, 4, 30][len(numbers) - 1])[None]

    points = landmarks.find_landmarks(iter(range(1000)), detect)
    np.testing.assert_array_equal(points, a_face(3))
    assert numbers == [0, 1, 2, 3, 4]


def test_find_landmarks_searches_a_limited_number_of_frames():
    numbers = []

    def detect(frame):
        numbers.append(frame)
        return a_face(frame)[None] if frame >= 100 else no_face()

    points = landmarks.find_landmarks(iter(range(10**6)), detect)
    np.testing.assert_array_equal(points, a_face(120))
    assert numbers[:12] == [*range(10), 10, 20]
    assert landmarks.find_landmarks(iter(range(10**6)), lambda frame: no_face()) is None
    assert landmarks.find_landmarks(iter(range(100)), detect) is None


def largest_first(*faces):
    return np.stack(sorted(faces, key=lambda face: -np.ptp(face)))


def test_two_people_are_never_averaged():
    """Of two faces that take turns in being the larger one, one person is taken whole."""

    def detect(frame):
        left, right = (104, 96) if frame % 2 else (96, 100)
        return largest_first(a_face(0, side=left), a_face(150, side=right))

    points = landmarks.find_landmarks(range(100), detect)
    np.testing.assert_allclose(points, a_face(150, side=100))


def test_a_face_that_the_detector_misses_is_not_replaced():
    """The largest face, missed in every third frame, while a bystander is always points."""

    def detect(frame):
        other = a_face(200, side=80)
        return np.stack([other]) if frame % 3 == 0 else np.stack([a_face(2 * frame), other])

    points = landmarks.find_landmarks(range(100), detect)
    np.testing.assert_allclose(points, a_face(4))  # of frames 1, 2, 4


def test_a_face_seen_once_is_ignored():
    def detect(frame):
        person = a_face(10, side=50)
        return np.stack([a_face(100, side=200), person] if frame == 0 else [person])

    np.testing.assert_allclose(landmarks.find_landmarks(range(50), detect), a_face(10, side=50))


def test_crossing_faces_keep_to_the_nearest():
    """Two people of one size move past a third of the way toward each other and back."""
    offsets = np.array([0, 10, 20, 10, 0])

    def detect(frame):
        pair = [a_face(offsets[frame]), a_face(90 - offsets[frame])]
        return np.stack(pair if frame % 2 else pair[::-1])

    points = landmarks.find_landmarks(range(5), detect)
    assert any(np.allclose(points, a_face(x)) for x in (10, 80))


@pytest.mark.slow
def test_real_faces(tmp_path):
    samples.fetch(tmp_path)
    detect = landmarks.all_faces_detector()
    points = {}
    for clip in clip_files.find_clips(tmp_path):
        frames = (frame for _, _, frame in reader.read_frames(clip))
        points[clip.name] = landmarks.find_landmarks(frames, detect)
    assert points["no_face.mp4"] is None
    for name in ("single_face.mp4", "WolfgangLanger_Pexels.mp4"):
        left, right, nose, *mouth = points[name]
        assert left[0] < nose[0] < right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth[0][1], mouth[1][1])

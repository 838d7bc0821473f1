import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.faces import landmarks as faces
from micron_jax.synthetic import face_track, film_clips, insertion, still_camera

SECONDS = np.arange(45) / 30
POINTS = (faces.CANONICAL * 224 - 0.5) * 1.2 + 80


def flow_in_crop(control, moved, landmarks):
    transform = faces.canonical_transform(landmarks, 448)
    gray = [
        cv2.cvtColor(cv2.warpAffine(x, transform, (448, 448), flags=cv2.INTER_CUBIC), 7)
        for x in (control, moved)
    ]
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    finder.setFinestScale(0)
    finder.setPatchSize(16)
    return cv2.resize(finder.calc(*gray, None), (28, 28), interpolation=cv2.INTER_AREA) / 2


@pytest.fixture
def picture():
    return drawn.texture(3, (430, 430), grain=1.8)


@pytest.fixture
def _quiet(monkeypatch):
    monkeypatch.setattr(still_camera.StillCamera, "shoot", lambda _, frames: frames)


@pytest.mark.usefixtures("_quiet")
def test_the_truth_of_a_turning_head_is_what_flow_finds(picture):
    """Both what the expression moves, in the head's own crop, and what the head moves."""
    clip = film_clips.still_clip(
        picture, POINTS, SECONDS, (0, 7, 2), turning=True, amplitudes=(3.0,)
    )
    apex = clip.expressions[0].profile.frames(SECONDS)["apex"]
    truth = clip.displacement[apex].astype(float)
    length = np.hypot(*np.moveaxis(truth, -1, 0))
    found = flow_in_crop(clip.control[apex], clip.frames[apex], clip.landmarks[apex])
    error = np.hypot(*np.moveaxis(found - truth, -1, 0))
    assert length.max() == pytest.approx(3.0, rel=0.25)
    assert error[length > 0.3].mean() < 0.12
    # The head, in the crop of the first frame.
    inside = (
        insertion.per_patch(
            insertion.look_up(insertion.face_window()[..., None], insertion.fine_grid())
        )[..., 0]
        > 0.999
    )
    last = int(np.hypot(*np.moveaxis(clip.distraction, -1, 0)).max((1, 2)).argmax())
    found = flow_in_crop(clip.control[0], clip.control[last], clip.landmarks[0])
    error = np.hypot(*np.moveaxis(found - clip.distraction[last], -1, 0))
    far = np.hypot(*np.moveaxis(clip.distraction[last], -1, 0))
    assert far.max() > 5
    assert error[inside].mean() < 0.1 + 0.03 * far.max()


@pytest.mark.usefixtures("_quiet")
def test_landmarks_go_with_the_head(picture):
    clip = film_clips.still_clip(picture, POINTS, SECONDS, (0, 7, 2), turning=True)
    np.testing.assert_allclose(clip.landmarks[0], POINTS - insertion.OFFSET, atol=0.02)
    transform = faces.canonical_transform(clip.landmarks[0], 224)
    t = 30
    before, after = (
        points @ transform[:, :2].T + transform[:, 2] for points in clip.landmarks[[0, t]]
    )
    cells = (before / 8).astype(int)
    np.testing.assert_allclose(
        after - before, clip.distraction[t][cells[:, 1], cells[:, 0]], atol=0.35
    )


def test_nothing_but_the_expression_differs_between_a_still_and_its_control(picture):
    part = picture[100:250, 100:250]
    clip = film_clips.still_clip(part, POINTS - 100, SECONDS, (0, 1, 2), turning=False)
    moving = np.hypot(*np.moveaxis(clip.displacement, -1, 0)).max((1, 2)) > 0
    assert 0 < moving.sum() < len(SECONDS)
    np.testing.assert_array_equal(clip.frames[~moving], clip.control[~moving])
    assert (clip.distraction == 0).all()
    # Sensor noise is new in each frame.
    assert (np.abs(np.diff(clip.control.astype(float), axis=0)).mean((1, 2, 3)) > 0.3).all()


def test_a_film_keeps_its_own_motion(picture):
    """A film that sways: the control is the film, shifted by a part of a pixel."""
    shifts = np.round(5 * np.sin(SECONDS * 4)).astype(int)
    frames = np.stack([np.roll(picture, shift, axis=1) for shift in shifts])
    points = POINTS + np.stack([shifts, 0 * shifts], -1)[:, None]
    track = face_track.FaceTrack(points.astype(float), np.ones(len(SECONDS), bool))
    clip = film_clips.film_clip(frames, track, SECONDS + 7.0, (0, 0, 0), amplitudes=(2.0,))
    assert clip.seconds[0] == 0
    again = np.roll(clip.control[0], shifts[20] - shifts[0], axis=1)
    np.testing.assert_array_equal(again[:, 20:-20], clip.control[20][:, 20:-20])
    apex = clip.expressions[0].profile.frames(clip.seconds)["apex"]
    found = flow_in_crop(clip.control[apex], clip.frames[apex], clip.landmarks[apex])
    error = np.hypot(*np.moveaxis(found - clip.displacement[apex], -1, 0))
    assert error.mean() < 0.05
    np.testing.assert_allclose(
        clip.distraction[20][..., 0], (shifts[20] - shifts[0]) / 1.2, atol=0.01
    )


def test_the_same_key_makes_the_same_clip_and_amplitudes_change_only_the_size(picture):
    part = picture[100:250, 100:250]

    def make(key, **more):
        return film_clips.still_clip(part, POINTS - 100, SECONDS, key, turning=False, **more)

    first, again, other = make((0, 1, 2)), make((0, 1, 2)), make((0, 1, 3))
    np.testing.assert_array_equal(first.frames, again.frames)
    assert first.expressions[0].profile != other.expressions[0].profile
    small, large = (make((0, 1, 2), amplitudes=(size,)) for size in (0.5, 4.0))
    np.testing.assert_array_equal(small.control, large.control)
    assert small.expressions[0].profile == large.expressions[0].profile
    assert small.expressions[0].shape.units == large.expressions[0].shape.units
    ratio = np.abs(large.displacement).max() / np.abs(small.displacement).max()
    assert ratio == pytest.approx(8, rel=0.1)


def test_shapes_of_the_test_people_alone():
    picture = drawn.texture(3, (40, 40))
    families = {"train": set(), "test": set()}
    for split, seen in families.items():
        for n in range(20):
            clip = film_clips.still_clip(
                picture, POINTS, SECONDS[:20], (0, n, 0), turning=False, split=split
            )
            seen |= {each.shape.family for each in clip.expressions}
    assert len(families["train"]) == 3 < len(families["test"])

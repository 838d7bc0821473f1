import numpy as np
import pytest

from micron_jax.faces import landmarks
from micron_jax.synthetic import film_spans
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip

FACE = landmarks.CANONICAL * 200 + (100.0, 50.0)


def clip(count, *, fps=30.0, broken=(), scenes=(0,), rate=True):
    """A film of gray squares; a frame's first pixel is its number, each scene another pattern."""
    patterns = [
        np.random.default_rng(seed).integers(20, 230, (9, 16)).repeat(40, 0).repeat(40, 1)
        for seed in range(len(scenes))
    ]

    def read():
        for number in range(count):
            if number in broken:
                yield number, None, Unreadable(f"frame {number} is damaged")
                continue
            scene = max(i for i, start in enumerate(scenes) if number >= start)
            frame = np.repeat(patterns[scene][..., None], 3, -1).astype(np.uint8)
            frame[0, 0] = number
            yield number, number / fps if rate else None, frame

    return InputClip("a.mp4", fps, count, "", read)


def faces(*gone, at=FACE, scale=1.0):
    """A detector that finds one face, but not in the frames `gone`."""

    def detect(image):
        return np.zeros((0, 5, 2)) if image[0, 0, 0] in gone else (at * scale)[None]

    return detect


def ends(runs):
    return [(int(run.numbers[0]), int(run.numbers[-1])) for run in runs]


def test_a_film_is_parted_at_cuts_and_where_frames_or_the_face_are_lost():
    assert ends(film_spans.find_runs(clip(200), faces())[0]) == [(0, 199)]
    assert ends(film_spans.find_runs(clip(200, scenes=(0, 90)), faces())[0]) == [(0, 89), (90, 199)]
    assert ends(film_spans.find_runs(clip(200, broken=(50,)), faces())[0]) == [(0, 49), (51, 199)]
    runs, _ = film_spans.find_runs(clip(200), faces(90))
    assert ends(runs) == [(0, 89), (105, 199)]


@pytest.mark.parametrize(
    ("film", "detect", "reason"),
    [
        (clip(60), lambda image: np.zeros((0, 5, 2)), "no face"),
        (clip(20), faces(), "no face for 1 s without a break"),
        (clip(60, rate=False), faces(), "its times are unknown"),
        (clip(60), faces(scale=0.4), "no face"),  # pupils of 21 px
        (clip(1, broken=(0,)), faces(), "frame 0 is damaged"),
    ],
)
def test_reasons(film, detect, reason):
    assert film_spans.find_runs(film, detect) == ([], reason)


def test_another_face_is_another_run():
    def detect(image):
        return (FACE if image[0, 0, 0] < 60 else FACE + np.array([300.0, 0]))[None]

    assert ends(film_spans.find_runs(clip(120), detect)[0]) == [(0, 59), (60, 119)]


def test_a_span_lies_in_one_run_and_has_the_length():
    runs, _ = film_spans.find_runs(clip(250, scenes=(0, 150)), faces())
    for seed in range(20):
        rng = np.random.default_rng(seed)
        span = film_spans.draw_span(runs, 2.0, (2.0, 8.0), rng)
        assert span.last - span.first == pytest.approx(60, abs=1)
        assert (span.first < 150) == (span.last < 150)
        whole = film_spans.draw_span(runs, 60.0, (2.0, 8.0), rng)
        assert (whole.first, whole.last) in ((0, 149), (150, 249))


def test_a_cut_has_the_films_own_resolution_unless_it_is_large():
    box = film_spans.cut_box(np.stack([FACE, FACE + np.array([20.0, 0])]), (360, 640))
    left, top, right, bottom = box
    assert (right - left) % 2 == (bottom - top) % 2 == 0
    assert right - left == pytest.approx(1.8 * 200 + 20, abs=3)
    frame = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    np.testing.assert_array_equal(film_spans.cut(frame, box), frame[top:bottom, left:right])
    large = film_spans.cut(np.zeros((2000, 3000, 3), np.uint8), (100, 100, 1600, 1300))
    assert large.shape == (480, 600, 3)


def test_spans_that_overlap_are_read_at_once():
    spans = [film_spans.Span(5, 40, (0, 0, 20, 10)), film_spans.Span(30, 60, (0, 0, 20, 10))]
    read = {
        index: (images, times) for index, images, times in film_spans.read_spans(clip(90), spans)
    }
    for index, span in enumerate(spans):
        images, times = read[index]
        numbers = np.arange(span.first, span.last + 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], numbers)
        np.testing.assert_allclose(times, numbers / 30)

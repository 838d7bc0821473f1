"""Clips differ by the motion of their truth and by nothing else."""

import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.data import warps
from micron_jax.faces import landmarks
from micron_jax.synthetic import expressions, render

LANDMARKS = landmarks.CANONICAL * 224 - 0.5
CANVAS = drawn.texture(1, (512, 512), grain=3.0)
CLEAN = render.Camera(0.3, (0, 0), np.zeros((200, 3)), 95)
PIXELS = np.stack(np.meshgrid(np.arange(224), np.arange(224)), -1).astype(float)


def draw(kind, number, split="test"):
    return expressions.draw_clip((7, number, 0), kind, split, LANDMARKS)


def optical_flow(onset, apex, enlarged=3):
    """[224, 224, 2] px, from frames made larger."""
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)
    first, second = (
        cv2.resize(
            cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY),
            None,
            fx=enlarged,
            fy=enlarged,
            interpolation=cv2.INTER_CUBIC,
        )
        for frame in (onset, apex)
    )
    flow = method.calc(first, second, None) / enlarged
    return cv2.resize(flow, (224, 224), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("number", range(7))
def test_optical_flow_measures_the_truth(number):
    """Dense optical flow between the frames, less the head's motion, is the field used."""
    clip = draw([*warps.EMOTIONS, "elsewhere", "still"][number], number)
    onset, apex = (
        render.render(CANVAS, clip.motion, t, CLEAN, clip.noise) for t in (clip.onset, clip.apex)
    )
    truth = render.flow(clip.motion, clip.onset, clip.apex)
    local = optical_flow(onset, apex) - (render.apply(truth["head"], PIXELS) - PIXELS)
    moved = truth["displacement"] + truth["distraction"]
    inside = np.s_[8:-8, 8:-8]
    error = np.hypot(*np.moveaxis(local - moved, -1, 0))[inside]
    assert error.mean() < 0.06
    assert np.percentile(error, 99) < 0.25
    if clip.label["amplitude"]:
        correlation = np.corrcoef(local[inside].ravel(), moved[inside].ravel())[0, 1]
        assert correlation > (0.95 if clip.label["amplitude"] > 1 else 0.75)


def test_the_apex_moves_by_the_amplitude():
    for number, kind in enumerate((*warps.EMOTIONS, "elsewhere")):
        clip = draw(kind, number)
        truth = render.flow(clip.motion, clip.onset, clip.apex)
        furthest = np.hypot(*np.moveaxis(truth["displacement"], -1, 0)).max()
        assert furthest == pytest.approx(clip.label["amplitude"], rel=0.04)
        assert 0.5 <= clip.label["amplitude"] <= 3
        at_onset = render.flow(clip.motion, clip.onset, clip.onset)
        np.testing.assert_allclose(at_onset["displacement"], 0, atol=1e-6)
        np.testing.assert_allclose(at_onset["head"], np.eye(2, 3), atol=1e-9)


def test_a_still_clip_differs_by_the_expression_alone():
    """Times, head, light, noise, blinks and turns do not know of the expression."""
    for number in range(6):
        moved, still = draw("happiness", number), draw("still", number)
        truth = render.flow(still.motion, still.onset, still.apex)
        assert (truth["displacement"] == 0).all()
        assert still.label["amplitude"] == 0
        for name in ("frames", "onset", "apex", "offset"):
            assert getattr(moved, name) == getattr(still, name)
        for name in ("pose", "intensity", "blink", "turn", "blinking", "turning"):
            np.testing.assert_array_equal(getattr(moved.motion, name), getattr(still.motion, name))
        np.testing.assert_array_equal(moved.camera.light, still.camera.light)
        assert moved.camera.noise == still.camera.noise
        assert moved.camera.quality == still.camera.quality
        assert moved.noise.bit_generator.state == still.noise.bit_generator.state


def test_frames_are_equally_sharp_at_the_apex():
    """The energy of fine detail, where the skin moved and where not: the same in both frames."""

    def energy(frame, where):
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return (cv2.Laplacian(gray, cv2.CV_32F)[where] ** 2).mean()

    within, around = [], []
    for number in range(12):
        clip = draw((*warps.EMOTIONS, "elsewhere")[number % 6], 50 + number)
        frames = [
            render.render(CANVAS, clip.motion, t, CLEAN, clip.noise)
            for t in (clip.onset, clip.apex)
        ]
        truth = render.flow(clip.motion, clip.onset, clip.apex)
        length = np.hypot(*np.moveaxis(truth["displacement"], -1, 0))
        moved = length > 0.3 * length.max()
        for where, ratios in ((moved, within), (~moved, around)):
            ratios.append(np.log(energy(frames[1], where) / energy(frames[0], where)))
    # Skin that is stretched loses, skin that is pressed together gains: it must cancel out.
    assert abs(np.mean(within)) < 0.04
    assert abs(np.mean(around)) < 0.01


def test_the_head_moves_by_fractions_of_a_pixel():
    corners = np.array([(0, 0), (223, 0), (0, 223), (223, 223)], float)
    far = []
    for number in range(20):
        clip = draw("still", number)
        pose = clip.motion.pose
        assert np.abs(pose[0]).min() > 0  # no frame is the picture itself
        moved = render.flow(clip.motion, clip.onset, clip.apex)["head"]
        far.append(np.hypot(*(render.apply(moved, corners) - corners).T).max())
    assert 0.1 < np.median(far) < 1.0
    assert max(far) < 2.5


def test_blinks_and_turns_occur_in_some_clips():
    labels = [draw("still", number).label for number in range(40)]
    for name in ("blink", "turn"):
        share = np.mean([label[name] > 0 for label in labels])
        assert 0.1 < share < 0.5


def test_families_of_the_test_people_are_in_no_other_split(monkeypatch):
    monkeypatch.setattr(warps, "field", lambda *_, **__: np.zeros((4, 4, 2)))  # slow to draw
    monkeypatch.setattr(warps, "turn_field", lambda *_: np.zeros((4, 4, 2)))

    def drawn_families(split):
        return {draw("surprise", number, split).label["family"] for number in range(30)}

    assert drawn_families("train") == set(warps.SEEN)
    assert drawn_families("val") == set(warps.SEEN)
    assert drawn_families("test") == set(warps.FAMILIES)


def test_units_name_the_persons_side():
    sides = {}
    for number in range(24):
        clip = draw("happiness", number, "train")
        length = np.hypot(*np.moveaxis(clip.motion.expression, -1, 0))
        image_left, image_right = length[:, :256].max(), length[:, 256:].max()
        assert abs(image_left - image_right) > 1e-3
        sides.setdefault(clip.label["units"], []).append(image_left > image_right)
    assert set(sides) == {"12", "L12", "R12"}
    assert all(sides["R12"])  # the person's right is the image's left
    assert not any(sides["L12"])


def test_kinds_are_dealt_evenly():
    dealt = expressions.kinds((0, 0), 16)
    assert sorted(dealt[:8]) == sorted(dealt[8:]) == sorted(expressions.DECK)
    assert expressions.kinds((0, 0), 3) == dealt[:3]
    assert expressions.kinds((0, 1), 8) != dealt[:8]
    assert expressions.kinds((1, 0), 8) != dealt[:8]


def test_intensity():
    clip = draw("disgust", 3)
    intensity = clip.motion.intensity
    assert intensity.shape == (clip.frames,)
    assert (intensity[: clip.onset + 1] == 0).all()
    assert intensity[clip.apex] == intensity.max() == 1
    assert (intensity[clip.offset :] == 0).all()
    assert (np.diff(intensity[clip.onset : clip.apex + 1]) > 0).all()
    assert np.abs(np.diff(intensity)).max() < 0.2
    assert clip.onset > 0
    assert clip.offset < clip.frames - 1


def test_fields_never_fold():
    for number in range(40):
        clip = draw(("others", "disgust", "elsewhere", "happiness")[number % 4], number)
        assert warps.steepness(clip.motion.field(clip.apex)) < 0.85

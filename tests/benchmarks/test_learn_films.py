"""The benchmark on films with known expressions, of a face that sways."""

import json

import cv2
import numpy as np
import pytest
from helpers.face_films import detector, film

from micron_jax.benchmarks import learn_error, learn_flow, learn_people, learn_scores
from micron_jax.benchmarks.learn_truth import load, read_pair
from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.synthetic import film_dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set of two films, four clips each, and its truth.json."""
    folder = tmp_path_factory.mktemp("set")
    for n in range(2):
        film(folder / "films" / f"{n}.mp4", n + 1)
    settings = dict(clips=4, seconds=1.2, amplitudes=(2.0,), codec_names=("none",), split="test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "all_faces_detector", detector)
        patch.setattr(film_dataset, "RATES", (25.0,))
        index = film_dataset.make_films(folder / "films", folder / "set", **settings)
    return folder / "set", index


def test_each_expression_and_its_control_are_a_pair(made):
    folder, index = made
    truth = load([folder], "test")
    kinds = [film["kind"] for film in index["films"] for _ in film["expressions"]]
    assert set(kinds) == {"film", "still", "head_only"}
    assert truth.kind.tolist() == [kind for kind in kinds for _ in range(2)]
    # An apex between two frames is nowhere as long as it was drawn.
    assert set(truth.amplitude[::2]) <= {1.0, 2.0}
    assert (truth.amplitude[1::2] == 0).all()
    assert set(truth.person) == {0, 1}
    assert set(truth.codec) == {"none"}
    number = np.arange(len(truth))
    of_film = (truth.kind == "film") & (truth.amplitude > 0)
    np.testing.assert_array_equal(truth.control, np.where(of_film, number + 1, -1))
    still = truth.kind == "still"
    assert (truth.head[still] == 0).all()
    assert (truth.head[~still] > 0).all()
    motionless = truth.amplitude == 0
    assert (truth.known & motionless).tolist() == (motionless & (truth.kind != "film")).tolist()
    assert not truth.moved[motionless].any()
    assert (truth.unmoved[motionless] == truth.face[motionless]).all()
    assert set(truth.family[motionless]) == {"none"}
    # Sets follow one another; a control keeps its clip.
    double = load([folder, folder], "test")
    assert (
        double.control[len(truth) :][of_film].tolist()
        == (number + 1 + len(truth))[of_film].tolist()
    )
    assert double.person.tolist() == [*truth.person] * 2


def test_the_truth_takes_each_film_to_its_control(made):
    """The apex of a film, moved back by the truth, is the apex of its control."""
    truth = load([made[0]], "test")
    for n in range(0, len(truth), 2):
        (onset, apex), (control_onset, control_apex) = read_pair(truth, n), read_pair(truth, n + 1)
        if truth.kind[n] == "film":  # a still's camera has noise
            np.testing.assert_array_equal(onset, control_onset)
        dense = cv2.resize(truth.displacement[n], (224, 224), interpolation=cv2.INTER_CUBIC)
        x, y = np.meshgrid(*(np.arange(224, dtype=np.float32),) * 2)
        back = cv2.remap(apex, x + dense[..., 0], y + dense[..., 1], cv2.INTER_CUBIC)
        moved = np.kron(truth.moved[n], np.ones((8, 8))).astype(bool)
        before, after = (
            np.abs(image.astype(float) - control_apex)[moved].mean() for image in (apex, back)
        )
        assert after < 0.5 * before, (n, truth.kind[n])


def test_the_truth_scores_an_error_of_zero_and_a_flow_a_small_one(made):
    truth = load([made[0]], "test")
    times = learn_people.draw(truth.person, 0)
    own = np.zeros_like(truth.displacement)
    own[truth.kind == "film"] = (1.5, -0.5)  # what a film does by itself counts for nothing
    scores = learn_error.figures(truth.displacement + own, truth, times, 0.1)
    assert scores["epe 2"][0] == pytest.approx(0, abs=1e-5)
    assert scores["epe 0"][0] == pytest.approx(0, abs=1e-5)
    assert scores["correlation"][0] == pytest.approx(1, abs=1e-6)
    assert scores["ratio 2"][0] == pytest.approx(1)
    assert set(learn_error.groups(truth)) >= {"kind film", "kind still", "kind head_only"}
    ranks = learn_scores.evaluate(learn_flow.lengths(truth.displacement), truth, resamples=0)
    assert ranks["false_positives"] == 0
    assert ranks["stratified"]["2"] == 1
    assert ranks["false_positives_by"] == {"film": None, "head_only": 0, "still": 0}


def test_bad_sets_of_films_are_named(made, tmp_path):
    index = json.loads(json.dumps(made[1]))
    with pytest.raises(UserError, match="no clip of the split 'val'"):
        load([made[0]], "val")
    entry = index["films"][0]
    index["films"] = [entry]
    (tmp_path / "truth.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"\.npz: not the truth of a film .*make the set again"):
        load([tmp_path], "test")
    for name in ("truth", "film"):
        (tmp_path / entry[name]).parent.mkdir(exist_ok=True)
        (tmp_path / entry[name]).write_bytes((made[0] / entry[name]).read_bytes())
    truth = load([tmp_path], "test")
    with pytest.raises(UserError, match=r"_control\.mkv: frame 0: .*make the set again"):
        read_pair(truth, 1)
    (tmp_path / entry["film"]).write_bytes(b"broken")
    with pytest.raises(UserError, match=r"\.mkv: frame 0: .*make the set again"):
        read_pair(truth, 0)

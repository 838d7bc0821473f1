import csv
import json

import cv2
import numpy as np
import pytest
from helpers import drawn, kept_classifier, tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.pretrained import MicronBert
from micron_jax.spotting import confidence, spotted, timeline
from micron_jax.spotting.confidence import FACTS, Confidence
from micron_jax.spotting.restless import COLUMNS
from micron_jax.spotting.spot_folder import RESTLESS, STATE, TABLE

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "ckpt"
    checkpoints.save(draw_weights(tiny.OURS), path)
    return str(path)


def write_clip(folder, apexes=(), count=24):
    """A drawn face whose mouth is dark at some frames."""
    folder.mkdir(parents=True)
    for number in range(count):
        image = drawn.face(3)
        if number in apexes:
            cv2.ellipse(image, (160, 225), (50, 22), 0, 0, 360, (30, 30, 30), -1)
        cv2.imwrite(str(folder / f"img{number:02d}.png"), image[..., ::-1])


def spot(checkpoint, output, *inputs, more=()):
    words = ["spot", "--checkpoint", checkpoint, "--output", str(output), "--fps", "30"]
    return main([*words, *more, "--input", *map(str, inputs)])


@pytest.fixture
def found(monkeypatch):
    """A likely and an unlikely candidate in each film, as random weights hardly have them."""
    height = ((-9.0, -9.0), (9.0, 9.0))
    fit = Confidence(0.0, (height, *[((0.0, 0.0),)] * (len(FACTS) - 1)), ((0.0, 99.0), (0.6, 0.0)))
    monkeypatch.setattr(confidence, "read", lambda _: {"motion": fit})

    def candidates(timeline, method, *, faces):
        assert faces
        times = tuple(timeline.seconds[n] - timeline.seconds[0] for n in (9, 12, 15))
        likely, unlikely = ((height, *[0.0] * (len(FACTS) - 1)) for height in (3.0, -3.0))
        return [
            spotted.Spotted((9, 12, 15), times, "mouth", 2.0, facts) for facts in (likely, unlikely)
        ]

    monkeypatch.setattr(spotted, "candidates", candidates)


def rows_of(output):
    with open(output / TABLE, newline="") as file:
        return list(csv.DictReader(file))


def test_films_are_searched_once_and_the_table_follows_the_alarms(
    checkpoint, found, tmp_path, monkeypatch, capsys
):
    write_clip(tmp_path / "films" / "a", apexes=(11, 12, 13))
    write_clip(tmp_path / "films" / "b")
    output = tmp_path / "out"
    assert spot(checkpoint, output, tmp_path / "films", more=["--alarms-per-minute", "1e4"]) == 0
    assert "films: 2, detections:" in capsys.readouterr().out
    state = json.loads((output / STATE).read_text())
    assert len(state["films"]) == 2
    everything = rows_of(output)
    assert len(everything) == 4
    assert (output / RESTLESS).read_text().startswith(",".join(COLUMNS))
    assert {row["kind"] for row in everything} == {"micro"}
    for row in everything:
        assert int(row["onset"]) < int(row["apex"]) < int(row["offset"]) < 24
        assert float(row["apex_seconds"]) == pytest.approx(int(row["apex"]) / 30, abs=1e-3)

    def never(*_, **__):
        raise AssertionError("searched again")

    monkeypatch.setattr(spotted, "measure_timeline", never)
    assert spot(checkpoint, output, tmp_path / "films", more=["--alarms-per-minute", "1e-3"]) == 0
    few = rows_of(output)
    assert all(row in everything for row in few)
    assert len(few) == 2
    assert min(float(row["confidence"]) for row in few) > 0.5


def test_a_film_is_searched_by_each_method_when_it_is_asked_for(checkpoint, tmp_path, monkeypatch):
    write_clip(tmp_path / "a", apexes=(11, 12, 13))
    flows = []
    residual_flow = timeline.residual_flow
    monkeypatch.setattr(
        timeline, "residual_flow", lambda *pair: flows.append(1) or residual_flow(*pair)
    )
    output = tmp_path / "out"
    for method, expected in (("motion", 0), ("flow", 24 + 8), ("motion", 24 + 8)):
        assert spot(checkpoint, output, tmp_path / "a", more=["--method", method]) == 0
        assert len(flows) == expected
    (film,) = json.loads((output / STATE).read_text())["films"].values()
    assert {*film["found"]} == {"motion", "flow"}


def test_a_classifier_names_the_class_of_each_row(checkpoint, found, tmp_path, capsys, monkeypatch):
    write_clip(tmp_path / "a", apexes=(11, 12, 13))
    checkpoints.save(draw_weights(tiny.PAPER), tmp_path / "tuned", kept_classifier.KEPT)
    seen = []

    def classify(_, onset, apex):
        seen.append((onset, apex))
        return np.array([[0.2, 0.8] if len(seen) == 1 else [np.nan, np.nan]])

    monkeypatch.setattr(MicronBert, "classify", classify)
    more = ["--alarms-per-minute", "1e4", "--classifier", str(tmp_path / "tuned")]
    assert spot(checkpoint, tmp_path / "out", tmp_path / "a", more=more) == 0
    classes = kept_classifier.CLASSES
    assert [row["label"] for row in rows_of(tmp_path / "out")] == [classes[1], ""]
    (onset, apex), _ = seen
    assert onset.shape == apex.shape == (1, 32, 32, 3)
    assert onset.mean() > apex.mean() + 1, "its mouth is dark"
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "video,subject,onset,apex,offset,kind,label\n"
        f"{tmp_path / 'a'},1,9,12,15,micro,{classes[1]}\n"
    )
    capsys.readouterr()
    table = str(tmp_path / "out" / TABLE)
    assert main(["evaluate", "--spotting", table, "--truth", str(truth)]) == 0
    assert "STRS" in capsys.readouterr().out
    words = ["spot", "--checkpoint", checkpoint, "--classifier", checkpoint, "--fps", "30"]
    words += ["--output", str(tmp_path / "other"), "--input", str(tmp_path / "a")]
    assert "no classifier; `micron-jax finetune` makes one" in refusal(words, capsys)


def test_a_checkpoint_without_displacement_is_refused(tmp_path, capsys):
    checkpoints.save(draw_weights(tiny.PAPER), tmp_path / "ckpt")
    write_clip(tmp_path / "clip", count=4)
    line = refusal(
        ["spot", "--checkpoint", str(tmp_path / "ckpt"), "--output", str(tmp_path / "out"),
         "--input", str(tmp_path / "clip")],
        capsys,
    )  # fmt: skip
    assert "no displacement branch; micron-tiny has one" in line


def test_a_folder_of_another_checkpoint_is_refused(checkpoint, tmp_path, capsys):
    write_clip(tmp_path / "clip", count=12)
    assert spot(checkpoint, tmp_path / "out", tmp_path / "clip") == 0
    capsys.readouterr()
    checkpoints.save(draw_weights(tiny.OURS, seed=1), tmp_path / "other")
    words = ["spot", "--checkpoint", str(tmp_path / "other"), "--output", str(tmp_path / "out")]
    line = refusal([*words, "--fps", "30", "--input", str(tmp_path / "clip")], capsys)
    assert "another checkpoint" in line


def test_a_film_without_a_face_is_named_once_and_leaves_nothing(checkpoint, tmp_path, capsys):
    (tmp_path / "clip").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "clip" / f"img{number}.png"), drawn.face(3)[:8, :8] * 0)
    words = ["spot", "--checkpoint", checkpoint, "--output", str(tmp_path / "out"), "--fps", "30"]
    line = refusal([*words, "--input", str(tmp_path / "clip")], capsys, begun=True)
    assert line.count(str(tmp_path / "clip")) == 1
    assert "no face" in line
    assert not (tmp_path / "out").exists()


def test_the_rows_of_a_film_that_has_changed_are_not_kept(checkpoint, found, tmp_path, capsys):
    """Another one takes its name, and cannot be searched."""
    for name in ("a", "b"):
        write_clip(tmp_path / "films" / name, apexes=(11, 12, 13))
    more = ["--alarms-per-minute", "1e4"]
    assert spot(checkpoint, tmp_path / "out", tmp_path / "films", more=more) == 0
    assert {row["video"][-1] for row in rows_of(tmp_path / "out")} == {"a", "b"}
    for path in (tmp_path / "films" / "a").iterdir():
        cv2.imwrite(str(path), drawn.face(3)[:8, :8] * 0)
    assert spot(checkpoint, tmp_path / "out", tmp_path / "films", more=more) == 0
    assert "films: 1," in capsys.readouterr().out.split("detections:")[-2]
    assert {row["video"][-1] for row in rows_of(tmp_path / "out")} == {"b"}

import csv
import dataclasses
import io

import numpy as np
import pytest
from helpers.bump import bump

from micron_jax.errors import UserError
from micron_jax.spotting import spotted as module
from micron_jax.spotting.confidence import FACTS, Confidence
from micron_jax.spotting.intervals import find_intervals
from micron_jax.spotting.spot_folder import STATE, TABLE, SpotFolder
from micron_jax.spotting.spotted import COLUMNS, Spotted, candidates, likely, spot, table
from micron_jax.spotting.timeline import Timeline

LEVEL = ((0.0, 0.0),)
# By the height alone.
SURE = Confidence(0.0, (((-9.0, -27.0), (9.0, 27.0)), *[LEVEL] * (len(FACTS) - 1)), ())


def timeline():
    """Motion comes and goes at frame 30, flow at frame 60; the film's numbers begin at 100."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (2, 90))
    motion, flow = np.abs(noise) + np.stack([bump(90, 30, 5), bump(90, 60, 5)])
    maps = np.zeros((90, 28, 28), np.float32)
    maps[:, 5, 10] = 1
    seconds = 7 + np.arange(90) / 30  # in a piece of a film
    return Timeline(
        fps=30.0,
        delta=8,
        kind="motion",
        numbers=np.arange(100, 190),
        seconds=seconds,
        before=np.arange(90),
        after=np.arange(90),
        maps=maps,
        flow=maps,
        energy=motion,
        salience=motion,
        flow_energy=flow,
        intervals=find_intervals(motion, seconds),
    )


@pytest.mark.parametrize(("method", "apex"), [("motion", 30), ("flow", 60)])
def test_candidates_have_the_film_s_numbers_and_its_own_seconds(method, apex):
    (one,) = candidates(timeline(), method)
    assert one.frames[1] == 100 + apex
    assert one.frames[0] < one.frames[1] < one.frames[2]
    assert one.seconds[1] == pytest.approx(7 + apex / 30)
    assert one.px == pytest.approx(1, abs=0.01)
    assert len(one.facts) == len(FACTS)


def spotted(px):
    facts = (np.log(px), *np.zeros(len(FACTS) - 1))
    return Spotted((3, 5, 9), (0.1, 0.2, 0.3), "mouth", px, tuple(map(float, facts)))


def test_a_table_holds_what_is_likely_enough():
    films = {"a.mp4": [dataclasses.asdict(spotted(px)) for px in (0.5, 1.0, 2.0)], "b.mp4": []}
    kept = {name: likely(found, SURE, 0.5) for name, found in films.items()}
    kept["a.mp4"][1]["label"] = "surprise"
    rows = list(csv.DictReader(io.StringIO(table(kept))))
    assert len(rows) == 2
    assert tuple(rows[0]) == COLUMNS
    assert [row["px"] for row in rows] == ["1.000", "2.000"]
    assert float(rows[0]["confidence"]) == 0.5 < float(rows[1]["confidence"])
    assert (rows[0]["video"], rows[0]["onset"], rows[0]["kind"]) == ("a.mp4", "3", "micro")
    assert [row["label"] for row in rows] == ["", "surprise"]
    assert len(likely(films["a.mp4"], SURE, 0.0)) == 3


def test_a_folder_goes_on_and_refuses_other_settings(tmp_path):
    settings = {"checkpoint": "x", "crop": "face"}
    folder = SpotFolder(tmp_path / "out", settings)
    folder.add("a.mp4", "1 kB", {"motion": [spotted(1.0)]}, [], ["dark"])
    again = SpotFolder(tmp_path / "out", settings)
    assert again.has("a.mp4", "1 kB")
    assert again.has("a.mp4", "1 kB", "motion")
    assert not again.has("a.mp4", "1 kB", "motion", "flow")
    assert not again.has("a.mp4", "2 kB"), "another film of that name"
    assert again.notes("a.mp4") == ["dark"]
    again.write({"a.mp4": likely(again.found("a.mp4", "motion"), SURE, 0.1)})
    assert (tmp_path / "out" / TABLE).read_text().count("\n") == 2
    with pytest.raises(UserError, match="another crop"):
        SpotFolder(tmp_path / "out", settings | {"crop": "whole"})
    (tmp_path / "out" / STATE).write_text("{")
    with pytest.raises(UserError, match="not of `micron-jax spot`"):
        SpotFolder(tmp_path / "out", settings)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    with pytest.raises(UserError, match="no folder of"):
        SpotFolder(tmp_path / "full", settings)


def test_pieces_are_searched_one_by_one_and_short_ones_are_not_judged(monkeypatch):
    """Each piece is a timeline; a refused one does not end the others."""

    def measure(_model, frames, *, fps, **settings):
        assert (fps, settings["flow"]) == (30, False)
        if frames == "torn":
            raise UserError("no pair")
        whole = timeline()
        if frames == "long":
            return whole
        few = slice(20, 40)
        cut = ("numbers", "seconds", "before", "after", "maps", "flow", "energy", "salience")
        parts = {name: getattr(whole, name)[few] for name in cut}
        motion = find_intervals(parts["salience"], parts["seconds"])
        return dataclasses.replace(whole, **parts, intervals=motion, notes=["short"])

    monkeypatch.setattr(module, "measure_timeline", measure)
    found, _, notes = spot(None, ["long", "torn", "short", "long"], fps=30)
    assert len(found["motion"]) == 2
    assert notes == ["0.7 s in pieces of less than 1 s are not judged"]
    assert len(spot(None, ["short"], fps=30)[0]["motion"]) == 1, "a clip as short as that"
    with pytest.raises(UserError, match="no pair"):
        spot(None, ["torn", "torn"], fps=30)

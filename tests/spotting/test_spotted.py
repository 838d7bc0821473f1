import csv
import dataclasses
import io

import numpy as np
import pytest
from helpers.bump import bump

from micron_jax.errors import UserError
from micron_jax.spotting.confidence import FACTS, Confidence
from micron_jax.spotting.spot_folder import STATE, TABLE, SpotFolder
from micron_jax.spotting.spotted import COLUMNS, Spotted, candidates, table
from micron_jax.spotting.timeline import Timeline

ENERGY = (*np.zeros(len(FACTS) - 1), 0.0)
SURE = Confidence((3.0, *ENERGY), ())  # by the energy alone


def timeline():
    """Motion comes and goes at frame 30, flow at frame 60; the film's numbers begin at 100."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (2, 90))
    motion, flow = np.abs(noise) + np.stack([bump(90, 30, 5), bump(90, 60, 5)])
    maps = np.zeros((90, 28, 28), np.float32)
    maps[:, 5, 10] = 1
    from micron_jax.spotting.intervals import find_intervals

    seconds = 7 + np.arange(90) / 30
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
        flow_energy=flow,
        intervals=find_intervals(motion, seconds),
    )


@pytest.mark.parametrize(("method", "apex"), [("motion", 30), ("flow", 60)])
def test_candidates_have_the_film_s_numbers_and_its_own_seconds(method, apex):
    (one,) = candidates(timeline(), method)
    assert one.frames[1] == 100 + apex
    assert one.frames[0] < one.frames[1] < one.frames[2]
    assert one.seconds[1] == pytest.approx(apex / 30)
    assert one.px == pytest.approx(1, abs=0.01)
    assert len(one.facts) == len(FACTS)


def spotted(px):
    facts = (np.log(px), *np.zeros(len(FACTS) - 1))
    return Spotted((3, 5, 9), (0.1, 0.2, 0.3), "mouth", px, tuple(map(float, facts)))


def test_a_table_holds_what_is_likely_enough():
    films = {"a.mp4": [dataclasses.asdict(spotted(px)) for px in (0.5, 1.0, 2.0)], "b.mp4": []}
    text, count = table(films, SURE, 0.5)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert count == len(rows) == 2
    assert tuple(rows[0]) == COLUMNS
    assert [row["px"] for row in rows] == ["1.000", "2.000"]
    assert float(rows[0]["confidence"]) == 0.5 < float(rows[1]["confidence"])
    assert (rows[0]["video"], rows[0]["onset"], rows[0]["kind"]) == ("a.mp4", "3", "micro")
    assert table(films, SURE, 0.0)[1] == 3


def test_a_folder_goes_on_and_refuses_other_settings(tmp_path):
    settings = {"checkpoint": "x", "crop": "face"}
    folder = SpotFolder(tmp_path / "out", settings)
    folder.add("a.mp4", "1 kB", {"motion": [spotted(1.0)]}, [], ["dark"])
    again = SpotFolder(tmp_path / "out", settings)
    assert again.has("a.mp4", "1 kB")
    assert not again.has("a.mp4", "2 kB"), "another film of that name"
    assert again.notes("a.mp4") == ["dark"]
    assert again.write(["a.mp4"], "motion", SURE, 0.1) == 1
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

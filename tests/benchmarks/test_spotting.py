import json
from types import SimpleNamespace

import numpy as np
import pytest

from micron_jax.benchmarks import spotting
from micron_jax.errors import UserError
from micron_jax.spotting.confidence import FACTS
from micron_jax.spotting.spotted import Spotted

FILMS, STILLS = 12, 4


def make_set(folder):
    """Films of six people, each with an expression at frames 30 to 40; every third is a still."""
    (folder / "films").mkdir(parents=True)
    films = [
        {
            "film": f"films/{n}.mp4",
            "control": f"films/{n}_control.mp4",
            "group": f"films/{n % 6}",
            "split": "test",
            "kind": "film" if n % 3 else "still",
            "fps": 30.0,
            "frames": 180,
            "expressions": [{"onset": 30, "apex": 35, "offset": 40, "amplitude": 1 + n % 2}],
        }
        for n in range(FILMS)
    ]
    (folder / "truth.json").write_text(json.dumps({"films": films}))
    return folder


def candidate(onset, energy):
    facts = (energy, *np.zeros(len(FACTS) - 1))
    times = onset / 30, onset / 30 + 0.2, onset / 30 + 0.3
    return Spotted((onset, onset + 5, onset + 10), times, "brows", 1.0, tuple(map(float, facts)))


@pytest.fixture
def searched(monkeypatch):
    """Finds the expression by motion, with much energy, by flow never; and a blink by both.

    In a control of a still flow finds a blink, too.
    """
    names = []

    def search(_model, clip, *, crop, fps, methods):
        assert (crop, fps) == ("face", 30)
        frames = clip.name
        names.append(frames)
        blink = candidate(100, -1.0)
        if "control" in frames:
            return {"motion": [], "flow": [blink]}, [], []
        near = candidate(31, -0.9) if len(names) % 5 == 0 else candidate(60, -0.9)
        return {"motion": [candidate(31, 2.0), blink], "flow": [near, blink]}, [], []

    monkeypatch.setattr(spotting, "search", search)
    monkeypatch.setattr(
        spotting, "find_inputs", lambda paths: [SimpleNamespace(facts="one", name=paths[0])]
    )
    return names


def test_methods_are_fitted_on_some_and_judged_on_others(searched, tmp_path):
    model = SimpleNamespace(config=SimpleNamespace(img_size=224))
    sets = make_set(tmp_path / "fit"), make_set(tmp_path / "judge")
    report = spotting.measure(model, "digest", *sets, tmp_path / "work", alarms=0.1)
    motion, flow = (report["methods"][name] for name in ("motion", "flow"))
    assert motion["f1"] == 1
    assert motion["false_alarms_per_minute"] == 0
    assert motion["found"] == {"1": 1.0, "2": 1.0}
    assert motion["alarms_by_kind"] == {"still": 0, "film": 0, "motionless": 0}
    assert flow["f1"] < 0.5
    counts = [part["count"] for part in motion["calibration"]]
    assert sum(counts) == 2 * FILMS
    assert (report["films"], report["people"], report["expressions"]) == (FILMS, 6, FILMS)
    assert report["minutes"] == pytest.approx((FILMS + STILLS) * 6 / 60)
    assert len(searched) == 2 * (FILMS + STILLS)
    again = spotting.measure(model, "digest", *sets, tmp_path / "work", alarms=0.1)
    assert again == report
    assert len(searched) == 2 * (FILMS + STILLS), "nothing is searched twice"


def test_films_in_which_nothing_is_found_are_refused(searched, tmp_path, monkeypatch):
    model = SimpleNamespace(config=SimpleNamespace(img_size=224))
    sets = make_set(tmp_path / "fit"), make_set(tmp_path / "judge")
    monkeypatch.setattr(spotting, "search", lambda *_, **__: ({"motion": [], "flow": []}, [], []))
    with pytest.raises(UserError, match="nothing is found"):
        spotting.measure(model, "digest", *sets, tmp_path / "work", alarms=0.1)


def test_films_that_cannot_be_searched_are_named(searched, tmp_path, monkeypatch):
    model = SimpleNamespace(config=SimpleNamespace(img_size=224))
    sets = make_set(tmp_path / "fit"), make_set(tmp_path / "judge")
    search = spotting.search

    def refused(model, clip, **settings):
        if clip.name.endswith("judge/films/5.mp4"):
            raise UserError("no face")
        return search(model, clip, **settings)

    monkeypatch.setattr(spotting, "search", refused)
    report = spotting.measure(model, "digest", *sets, tmp_path / "work", alarms=0.1)
    assert report["unsearched"] == [{"clip": "films/5.mp4", "reason": "no face"}]
    assert report["methods"]["motion"]["recall"] == pytest.approx(1 - 1 / FILMS)

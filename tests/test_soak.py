"""Trials of every command: kills, signals, damage, full disks, double starts."""

import os
import random
import time

import pytest
from helpers import interruptions
from helpers.soak import Soak, table


@pytest.fixture(scope="module")
def cases(tmp_path_factory, corpus, run_config):
    return interruptions.make_cases(tmp_path_factory.mktemp("inputs"), corpus, run_config)


@pytest.mark.slow
def test_an_hour_of_trials(cases, tmp_path):
    """MICRON_SECONDS is how long, MICRON_SEED gives other trials; rows and a table are printed."""
    seconds = float(os.environ.get("MICRON_SECONDS", 3600))
    seed = int(os.environ.get("MICRON_SEED", random.randrange(10**6)))
    print(f"\nseed {seed}")
    end = time.monotonic() + seconds
    trials = Soak(cases, tmp_path, seed).run(lambda: time.monotonic() > end)
    print(table(trials))
    assert [trial.row() for trial in trials if trial.problems] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("convert", "full disk"), ("stills", "kill -9"), ("faces", "double start")],
)
def test_a_trial(cases, tmp_path, name, kind):
    soak = Soak(cases, tmp_path, seed=0)
    trial = soak.kinds[kind](next(case for case in cases if case.name == name))
    assert trial.problems == []

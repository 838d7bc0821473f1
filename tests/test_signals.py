"""Signals to every command: at random moments (slow), and at some that tests choose."""

import os
import random
import signal

import pytest
from helpers import interruptions


@pytest.fixture(scope="module")
def cases(tmp_path_factory, corpus, run_config):
    return interruptions.make_cases(tmp_path_factory.mktemp("inputs"), corpus, run_config)


@pytest.mark.slow
def test_signals_at_random_moments(cases, tmp_path):
    """MICRON_SIGNALS is their number, MICRON_SEED gives other moments; the table is printed."""
    count = int(os.environ.get("MICRON_SIGNALS", 4 * len(cases)))
    seed = int(os.environ.get("MICRON_SEED", random.randrange(10**6)))
    print(f"\nseed {seed}")
    outcomes = interruptions.soak(cases, tmp_path, count=count, seed=seed)
    assert [outcome.row() for outcome in outcomes if outcome.problems] == []


@pytest.mark.parametrize(
    ("name", "number", "appears"),
    [
        ("build frames", signal.SIGINT, "**/plan.json"),  # its workers import their modules
        ("visualize", signal.SIGTERM, ".out.incomplete"),  # it compiles
        ("synth", signal.SIGHUP, ".out.incomplete/**/*.jpg"),  # its threads write
    ],
)
def test_signals_in_the_midst_of_work(cases, tmp_path, name, number, appears):
    case = next(case for case in cases if case.name == name)
    folder = tmp_path / "run"
    outcome = interruptions.interrupt(
        case, folder, number, lambda: any(folder.glob(appears)), expected=None
    )
    assert outcome.problems == []
    assert outcome.status == 128 + number
    assert outcome.again == 0

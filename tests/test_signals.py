"""Signals to every command: at random moments (slow), and at some that tests choose."""

import os
import random

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

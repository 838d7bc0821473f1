"""A short run of damaged files; the long one is `python tests/fuzz/campaign.py`."""

import random

from fuzz import campaign
from fuzz.readers import READERS
from helpers.mutations import damage


def test_damaged_files_are_read_or_refused():
    outcomes = campaign.run(list(READERS), mutations=25, seed=1)
    for name, outcome in outcomes.items():
        assert not outcome.faults, f"{name}: {outcome.faults}"
        assert outcome.read + outcome.refused == 25
        assert outcome.refused or name in ("film", "image"), f"{name}: nothing is refused"


def test_damage_is_drawn_by_its_seed():
    data = bytes(range(256))
    first, again = (damage(data, random.Random("1")) for _ in range(2))
    assert first == again != data

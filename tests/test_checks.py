import types

import pytest

from micron_jax.checks import at_least, choose, did_you_mean, within
from micron_jax.errors import UserError

CONFIG = types.SimpleNamespace(swap="blocks", seeds=2, share=0.5)


def test_good_values_pass():
    choose("config", CONFIG, swap=("blocks", "none"))
    at_least("config", CONFIG, seeds=2, share=0)
    within("config", CONFIG, share=(0, 0.5))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: choose("config.a", CONFIG, swap=("", "none")), "config.a.swap='blocks': choose"),
        (lambda: at_least("config", CONFIG, share=0, seeds=3), "config.seeds=2: must be at least"),
        (lambda: within("config", CONFIG, share=(0, 0.4)), r"config.share=0.5: must lie in 0..0.4"),
    ],
)
def test_a_bad_value_is_named(check, message):
    with pytest.raises(UserError, match=message):
        check()


def test_the_nearest_name_is_offered():
    assert did_you_mean("sise", ["size", "depth"]) == "did you mean size?"
    assert did_you_mean("xyz", ["size", "depth"]) == "choose one of size, depth"

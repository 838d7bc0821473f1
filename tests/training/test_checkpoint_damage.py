"""Damaged checkpoints of a run: each damage is noticed, and the one before comes back whole."""

import collections
import itertools
import random
import shutil
import warnings

import chex
import jax
import numpy as np
import pytest
from helpers.damage import KINDS, damage
from helpers.place import Place

from micron_jax.config import load
from micron_jax.errors import Notice, UserError
from micron_jax.training.checkpoint import Checkpoints, read_weights
from micron_jax.training.config import parse
from micron_jax.training.jitted import jit_functions
from micron_jax.training.sharding import make_mesh


@pytest.fixture(scope="module")
def like(run_config):
    config = parse(load(str(run_config)))
    return jit_functions(config, make_mesh(config.mesh), steps_per_epoch=5, total_steps=10).state


@pytest.fixture(scope="module")
def workdir(like, tmp_path_factory):
    """Steps 1 to 3 with a validation loss each; the best is the second."""
    workdir, place = tmp_path_factory.mktemp("damage") / "run", Place()
    with Checkpoints(workdir, keep=3) as checkpoints:
        for step in (1, 2, 3):
            place.batch = 10 * step
            checkpoints.save(step, _state(like, step), place, validation_loss=abs(step - 2.0))
            checkpoints.wait()
    return workdir


def _state(like, step):
    chance = np.random.default_rng(step)
    return jax.tree.map(
        lambda leaf: jax.device_put(
            np.asarray(chance.normal(size=leaf.shape), leaf.dtype), leaf.sharding
        ),
        like,
    )


def _damages(count):
    """(number, kind) of each; numbers are seeds."""
    return [*zip(range(count), itertools.cycle(KINDS))]


def _try(number, kind, workdir, like, folder):
    """(file, what was said, step of the state that came back) of one damage."""
    copy = folder / "run"
    shutil.copytree(workdir, copy)
    chance = random.Random(number)
    name = damage(chance, kind, copy / "checkpoints" / "3")
    with pytest.raises(UserError, match=r"checkpoints/3: damaged \(.*; remove it to use the one"):
        read_weights(copy)
    place = Place()
    with (
        warnings.catch_warnings(record=True, action="always", category=Notice) as notices,
        Checkpoints(copy, keep=3) as checkpoints,
    ):
        step, state = checkpoints.restore(like, place)
        checkpoints.save(3, state, place)  # the run comes to that step again
    lines = [str(notice.message) for notice in notices]
    assert place.batch == 10 * step
    chex.assert_trees_all_equal(state, _state(like, step))
    assert (copy / "damaged" / "3").is_dir()
    assert (copy / "checkpoints" / "3").is_dir()
    shutil.rmtree(copy)
    return name, lines, step


def _check_all(damages, workdir, like, folder):
    table = collections.Counter()
    for number, kind in damages:
        name, lines, step = _try(number, kind, workdir, like, folder)
        # A file may be swapped with one of another step, which then is damaged too.
        steps = {int(line.split()[1]) for line in lines}
        assert steps >= {*range(3, step, -1)}, lines
        assert kind == "files swapped" or (steps, step) == ({3}, 2), lines
        named = any(name in line for line in lines) or kind == "files swapped"
        assert named, (name, lines)
        table[kind, step] += 1
    return table


def test_damage_is_noticed(workdir, like, tmp_path):
    table = _check_all(_damages(12), workdir, like, tmp_path)
    assert table.total() == 12


@pytest.mark.slow
def test_200_damages_are_noticed(workdir, like, tmp_path):
    table = _check_all(_damages(200), workdir, like, tmp_path)
    print("\nkind            noticed  went on at step")
    for (kind, step), count in sorted(table.items()):
        print(f"{kind:<16}{count:>7}  {step}")
    assert table.total() == 200

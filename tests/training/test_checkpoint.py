"""Checkpoints: those that stay, damaged ones, and disks that cannot be written."""

import json
import os
import resource
import shutil
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.place import Place

from micron_jax.errors import Notice, UserError
from micron_jax.training.checkpoint import (
    Checkpoints,
    SaveError,
    read_weights,
    without_late_writes,
)
from micron_jax.training.state import TrainState


def state_at(step, size=8):
    params = {"encoder": {"kernel": jnp.full((size, 4096), float(step))}}
    return TrainState(jnp.int32(step), params, {}, None, optax.sgd(0.1, 0.9).init(params))


@pytest.fixture
def place():
    return Place()


def saved(workdir, place, steps, keep=3, losses=None):
    with Checkpoints(workdir, keep=keep) as checkpoints:
        for step in steps:
            place.batch = 10 * step
            loss = (losses or {}).get(step)
            checkpoints.save(step, state_at(step), place, validation_loss=loss)
            checkpoints.wait()


def like(size=8):
    return jax.eval_shape(lambda: state_at(0, size))


def steps_of(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def restore(workdir, place, size=8):
    with Checkpoints(workdir, keep=3) as checkpoints:
        return checkpoints.restore(like(size), place)


def test_the_newest_comes_back_with_its_place(tmp_path, place):
    assert restore(tmp_path / "new", place) is None
    saved(tmp_path, place, [1, 2])
    place.batch = 0
    step, state = restore(tmp_path, place)
    assert (step, place.batch) == (2, 20)
    chex.assert_trees_all_equal(state, state_at(2))


def test_the_last_and_the_best_checkpoints_stay(tmp_path, place):
    losses = {1: 0.9, 2: 0.5, 3: 0.7, 4: 0.8, 6: 0.6}
    saved(tmp_path, place, [1, 2, 3], keep=2, losses=losses)
    saved(tmp_path, place, [4, 5, 6, 7], keep=2, losses=losses)  # a run that went on
    assert steps_of(tmp_path) == [2, 6, 7]


def cut_short(folder):
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[:100])


def halve_largest(folder):
    largest = max(folder.rglob("d/*"), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def without_sums(folder):
    """As an earlier version wrote it."""
    (folder / "checksums.json").unlink()
    path = folder / "_CHECKPOINT_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"custom_metadata": {}}))


DAMAGE = {
    "half of the largest file": halve_largest,
    "half of an array": lambda folder: cut_short(folder / "state"),
    "no state": lambda folder: shutil.rmtree(folder / "state"),
    "no place": lambda folder: (folder / "data" / "metadata").write_text('{"batch": '),
    "no metadata": lambda folder: (folder / "state" / "_METADATA").unlink(),
    "nothing": lambda folder: [shutil.rmtree(path) for path in folder.iterdir() if path.is_dir()],
}


@pytest.mark.parametrize("sums", [True, False], ids=["sums", "earlier version"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_set_aside(tmp_path, place, damage, sums):
    saved(tmp_path, place, [1, 2, 3])
    if not sums:
        without_sums(tmp_path / "checkpoints" / "3")
    damage(tmp_path / "checkpoints" / "3")
    with pytest.warns(Notice) as notices:
        step, state = restore(tmp_path, place)
    assert (step, place.batch) == (2, 20)
    chex.assert_trees_all_equal(state, state_at(2))
    [warning] = [str(notice.message) for notice in notices]
    assert "checkpoint 3 is damaged (" in warning
    assert (
        f"it is now {tmp_path / 'damaged' / '3'}, and the run goes on from the one before"
        in warning
    )
    assert (tmp_path / "damaged" / "3").is_dir()
    assert steps_of(tmp_path) == [1, 2]
    saved(tmp_path, place, [3])
    assert restore(tmp_path, place)[0] == 3


def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path, place):
    saved(tmp_path, place, [1, 2])
    without_sums(tmp_path / "checkpoints" / "2")
    assert restore(tmp_path, place)[0] == read_weights(tmp_path)[0] == 2


def test_lost_sums_are_damage(tmp_path, place):
    saved(tmp_path, place, [1, 2])
    (tmp_path / "checkpoints" / "2" / "checksums.json").unlink()
    with pytest.raises(UserError, match=r"damaged \(checksums.json is missing\); remove it to use"):
        read_weights(tmp_path)
    with pytest.warns(Notice, match="checksums.json is missing"):
        assert restore(tmp_path, place)[0] == 1


def test_checkpoints_stay_if_all_are_damaged(tmp_path, place):
    saved(tmp_path, place, [1, 2])
    for step in "12":
        cut_short(tmp_path / "checkpoints" / step / "state")
    with pytest.raises(UserError, match="checkpoints/2: damaged"):
        restore(tmp_path, place)
    assert steps_of(tmp_path) == [1, 2]


def test_another_network_is_no_damage(tmp_path, place):
    saved(tmp_path, place, [1, 2])
    message = r"is of another network \(encoder/kernel has shape \(8, 4096\) there and \(16, 4096\)"
    with pytest.raises(UserError, match=message):
        restore(tmp_path, place, size=16)
    assert steps_of(tmp_path) == [1, 2]


def test_memory_that_runs_out_is_no_damage(tmp_path, place, monkeypatch):
    saved(tmp_path, place, [1, 2])

    def full(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: out of memory")

    with Checkpoints(tmp_path, keep=3) as checkpoints:
        monkeypatch.setattr("orbax.checkpoint.StandardCheckpointHandler.restore", full)
        with pytest.raises(ValueError, match="RESOURCE_EXHAUSTED"):
            checkpoints.restore(like(), place)
    assert steps_of(tmp_path) == [1, 2]


@pytest.fixture
def small_files():
    """No file may grow beyond 64 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_reported_and_the_next_save_works(tmp_path, place, small_files):
    big = state_at(2).replace(
        params={"encoder": {"kernel": np.random.default_rng(0).normal(size=(64, 4096))}}
    )
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        checkpoints.save(1, state_at(1), place)
        checkpoints.wait()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        small_files()
        checkpoints.save(2, big, place)
        with pytest.raises(SaveError, match=r"checkpoints/2: not written \(.*too large"):
            checkpoints.wait()
        assert checkpoints.latest() == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert read_weights(tmp_path)[0] == 1
        checkpoints.save(3, state_at(3), place)
        checkpoints.wait()
    assert steps_of(tmp_path) == [1, 3]
    assert restore(tmp_path, place)[0] == 3


def test_writes_that_end_after_a_failed_save_print_nothing():
    events = [
        SimpleNamespace(exc_value=RuntimeError(message), object=where)
        for message in ("Event loop is closed", "another")
        for where in (None, "somewhere")
    ]
    printed = []
    for event in events:
        without_late_writes(printed.append)(event)
    assert printed == events[1:]

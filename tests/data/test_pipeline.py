import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import grain
import numpy as np
import pytest

from micron_jax.data.pairs import Clip
from micron_jax.data.pipeline import held_out_batches, make_pairs, read_pairs
from micron_jax.errors import UserError
from micron_jax.video.image_files import encode_jpeg

CLIPS = [Clip("a", 0, 40, 30.0), Clip("b", 40, 6, 30.0), Clip("c", 46, 74, 30.0)]
PAIRS = 35 + 1 + 69
ARGUMENTS = {"batch_size": 8, "delta_seconds": (5 / 30, 11 / 30), "seed": 3, "threads": 2}


class GrayFrames:
    """Record i is a flat image of gray level 2 i."""

    def __getitems__(self, keys):
        assert all(type(key) is int for key in keys)
        return [{"image": encode_jpeg(np.full((16, 16, 3), 2 * key, np.uint8))} for key in keys]


def pairs_of(**settings):
    return make_pairs(GrayFrames(), CLIPS, **{**ARGUMENTS, **settings})


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def assert_same(batches, others):
    assert len(batches) == len(others) > 0
    for a, b in zip(batches, others, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def joined(batches, name):
    return np.concatenate([batch[name] for batch in batches])


def test_batches_hold_the_frames_they_name():
    iterator = pairs_of()
    assert isinstance(iterator, grain.DatasetIterator)
    assert (iterator.pairs, iterator.steps_per_epoch) == (PAIRS, PAIRS // 8)
    for batch in take(iterator, 20):
        assert {name: value.dtype for name, value in batch.items()} == {
            "cur": np.uint8,
            "ref": np.uint8,
            "index": np.int64,
            "delta": np.int32,
        }
        assert batch["cur"].shape == batch["ref"].shape == (8, 16, 16, 3)
        assert ((batch["delta"] >= 5) & (batch["delta"] <= 11)).all()
        level = batch["cur"].mean((1, 2, 3))
        np.testing.assert_allclose(level, 2 * batch["index"], atol=1)
        level = batch["ref"].mean((1, 2, 3))
        np.testing.assert_allclose(level, 2 * (batch["index"] + batch["delta"]), atol=1)


def test_an_epoch_sees_every_pair_once_and_the_next_in_another_order():
    taken = take(pairs_of(batch_size=PAIRS), 2)
    first, second = (batch["index"] for batch in taken)
    expected = [*range(35), 40, *range(46, 115)]
    assert sorted(first) == sorted(second) == expected
    assert (first != second).any()
    assert (first != expected).any()
    first, second = (batch["delta"][np.argsort(batch["index"])] for batch in taken)
    assert (first != second).any()


def test_batches_span_the_end_of_an_epoch():
    index = joined(take(pairs_of(), 2 * PAIRS // 8), "index")
    assert sorted(index[:PAIRS]) == [*range(35), 40, *range(46, 115)]
    assert len(list(pairs_of(epochs=1))) == PAIRS // 8
    assert len(list(pairs_of(epochs=2))) == 2 * PAIRS // 8


def test_unshuffled():
    assert joined(take(pairs_of(shuffle=False), 5), "index").tolist() == [
        *range(35),
        40,
        *range(46, 50),
    ]


def test_order_depends_on_the_seed_alone():
    assert_same(take(pairs_of(), 6), take(pairs_of(threads=7), 6))
    other = joined(take(pairs_of(seed=4), 6), "index")
    assert (joined(take(pairs_of(), 6), "index") != other).any()


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_batches_of_one(count):
    alone = take(pairs_of(), 15)
    shares = [take(pairs_of(process_index=p, process_count=count), 15) for p in range(count)]
    together = [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*shares, strict=True)
    ]
    assert_same(alone, together)


@pytest.mark.parametrize("before", [0, 5, 14])
def test_state_restores_bit_for_bit(before):
    iterator = pairs_of()
    take(iterator, before)
    state = json.loads(json.dumps(iterator.get_state()))
    rest = take(iterator, 20)
    fresh = pairs_of(threads=1)
    take(fresh, 3)
    fresh.set_state(state)
    assert fresh.get_state() == state
    assert_same(rest, take(fresh, 20))


def test_workers_read_the_same_and_restore_under_another_number():
    plain, workers = pairs_of(), pairs_of(workers=2, threads=1)
    batches = take(workers, 7)
    assert_same(take(plain, 7), batches)
    # No view of shared memory, which would outlast the process that keeps the batch.
    assert all(type(rows) is np.ndarray for rows in batches[-1].values())
    assert all(rows.base is None for rows in batches[-1].values())
    state = workers.get_state()
    workers.close()
    assert state == plain.get_state()
    one = pairs_of(workers=1)
    one.set_state(state)
    assert_same(take(plain, 3), take(one, 3))
    one.close()


@pytest.mark.parametrize(
    "settings", [{"batch_size": 4}, {"seed": 5}, {"delta_seconds": (5 / 30, 12 / 30)}]
)
def test_a_state_of_another_run_is_refused(settings):
    (name, value), was = *settings.items(), ARGUMENTS[next(iter(settings))]
    if name == "delta_seconds":
        was, value = [*was], [*value]
    with pytest.raises(UserError, match=re.escape(f"{name} was {was} and is {value}")):
        pairs_of(**settings).set_state(json.loads(json.dumps(pairs_of().get_state())))


def test_a_state_of_other_times_is_refused():
    times = np.arange(74) / 30
    times[9:] += 0.1
    other = make_pairs(
        GrayFrames(), [*CLIPS[:2], dataclasses.replace(CLIPS[2], seconds=times)], **ARGUMENTS
    )
    assert other.pairs == PAIRS
    with pytest.raises(UserError, match="partners was"):
        other.set_state(pairs_of().get_state())


def test_a_state_of_other_data_is_refused():
    other = make_pairs(GrayFrames(), CLIPS[:1], **ARGUMENTS)
    with pytest.raises(UserError, match=f"pairs was {PAIRS} and is 35"):
        other.set_state(pairs_of().get_state())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": PAIRS + 1}, f"batch_size={PAIRS + 1}: must lie in 1..{PAIRS}"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 8, "process_count": 3}, "does not divide among 3 processes"),
        ({"seed": -1}, "seed=-1"),
        ({"workers": -1}, "workers=-1"),
        ({"threads": 0}, "threads=0"),
        ({"delta_seconds": (4.0, 4.0)}, "data.delta_seconds"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(UserError, match=words):
        pairs_of(**settings)


def test_pairs_can_be_chosen():
    batch = read_pairs(GrayFrames(), [7, 50], [5, 9])
    np.testing.assert_allclose(batch["cur"].mean((1, 2, 3)), [14, 100], atol=1)
    np.testing.assert_allclose(batch["ref"].mean((1, 2, 3)), [24, 118], atol=1)


def test_a_closed_iterator_refuses():
    iterator = pairs_of()
    next(iterator)
    iterator.close()
    with pytest.raises(ValueError, match="closed"):
        next(iterator)


def held_out(batches, **more):
    return held_out_batches(GrayFrames(), CLIPS, batches=batches, **ARGUMENTS, **more)


def test_held_out_batches_are_the_same_each_time_and_spread_over_the_clips():
    batches = held_out(4)
    first, second = list(batches), list(batches)
    assert_same(first, second)
    index = joined(first, "index")
    assert len(index) == 32 == len(set(index))
    assert index.min() < 4
    assert index.max() > 110, "from the first clip to the last"
    partner = dict(zip(index, joined(first, "delta"), strict=True))
    more = list(held_out(8))
    assert all(
        partner.get(i, delta) == delta
        for i, delta in zip(joined(more, "index"), joined(more, "delta"), strict=True)
    ), "a frame keeps its partner"
    assert len(set(joined(list(held_out(20)), "index"))) == PAIRS, "some come twice, none is left"


def test_processes_share_the_held_out_batches():
    shares = [list(held_out(3, process_index=i, process_count=2)) for i in range(2)]
    for whole, one, two in zip(held_out(3), *shares, strict=True):
        for name, rows in whole.items():
            np.testing.assert_array_equal(np.concatenate([one[name], two[name]]), rows)


KILLED = """
import time
import test_pipeline
pairs = test_pipeline.pairs_of(workers=1, threads=1)
next(pairs)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_killed_parent():
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout.readline() == "ready\n"
        threads = Path(f"/proc/{process.pid}/task").iterdir()
        children = [pid for x in threads for pid in (x / "children").read_text().split()]
        process.kill()
    assert len(children) >= 1
    give_up = time.monotonic() + 20
    while left := [pid for pid in children if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < give_up, left
        time.sleep(0.1)


def noise_of(cur, rng):
    return {"noise": rng.normal(size=2), "sum": np.int64(cur.sum())}


def test_more_arrays_are_drawn_of_each_pair():
    iterator = pairs_of(draw=noise_of)
    batches = take(iterator, 3)
    for batch in batches:
        assert batch["noise"].shape == (8, 2)
        sums = batch["cur"].sum((1, 2, 3), dtype=np.int64)
        np.testing.assert_array_equal(batch["sum"], sums)
    noise = joined(batches, "noise")
    assert len(np.unique(noise)) == noise.size
    assert_same(take(pairs_of(draw=noise_of), 3), batches)
    # Two processes draw what one does.
    halves = [
        joined(take(pairs_of(draw=noise_of, process_index=i, process_count=2), 1), "noise")
        for i in (0, 1)
    ]
    np.testing.assert_array_equal(np.concatenate(halves), noise[:8])


def test_held_out_batches_draw_the_same_again():
    first, second = (
        list(held_out_batches(GrayFrames(), CLIPS, batches=2, draw=noise_of, **ARGUMENTS))
        for _ in range(2)
    )
    assert_same(first, second)
    assert len(np.unique(joined(first, "noise"))) == 32

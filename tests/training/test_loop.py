"""The loop of a pretraining around a step that costs nothing: what it does about trouble."""

import dataclasses
import itertools
import os
import resource
import shutil
import signal
import zlib
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax import config as configs
from micron_jax.data.pairs import Clip
from micron_jax.data.pipeline import make_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.errors import Notice, UserError
from micron_jax.training import loop
from micron_jax.training.checkpoint import Checkpoints, read_weights
from micron_jax.training.config import parse
from micron_jax.training.jitted import TrainFunctions
from micron_jax.training.sharding import batch_sharding
from micron_jax.training.state import TrainState
from micron_jax.training.telemetry import read_metrics

QUIET = {"picture_every": 10**6, "checkpoint_every": 5, "epochs": 6}
STEPS = 30


@pytest.fixture
def stub(monkeypatch):
    """A step without arithmetic: it lists the batches, and returns a loss for each call."""

    class Stub:
        batches, losses, size = (), itertools.repeat(1.0), 1 << 10

    stub = Stub()
    stub.batches = []

    def jit_functions(config, mesh, **_):
        def state_at(step):
            params = {"encoder": {"kernel": jnp.full((2, stub.size), step, jnp.float32)}}
            return TrainState(jnp.int32(step), params, {}, None, ())

        shapes = jax.eval_shape(lambda: state_at(0))
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

        def train(state, batch):
            stub.batches.append(zlib.crc32(np.asarray(batch["cur"]).tobytes()))
            step = int(state.step) + 1
            names = ("reconstruction", "agreement", "grad_norm", "feature_spread")
            loss = next(stub.losses)
            metrics = dict.fromkeys(names, 1.0) | {"loss": loss}
            noise = np.random.default_rng(step).normal(size=(2, stub.size))
            params = {"encoder": {"kernel": jnp.float32(noise)}}
            return TrainState(step, params, {}, None, ()), metrics

        def validate(state, number, batch):
            # Best at step 10: validated after it, losses go up again.
            value = abs(int(state.step) - 10) + int(number)
            return dict.fromkeys(("loss", "reconstruction", "agreement"), value)

        return TrainFunctions(
            state=jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), shapes
            ),
            batch_sharding=batch_sharding(mesh),
            init=lambda: state_at(0),
            train=train,
            validate=validate,
            preview=None,
            learning_rate=lambda step: 0.1,
        )

    monkeypatch.setattr(loop, "jit_functions", jit_functions)
    monkeypatch.setattr(loop.Trainer, "draw", lambda *_: None)
    return stub


@pytest.fixture
def settings(run_config):
    def with_changes(**changes):
        return parse(configs.load(str(run_config)) | QUIET | changes)

    return with_changes


def train(config, workdir):
    return loop.pretrain(config, workdir, open_frames(config.data.data_dir))


def test_clips_without_a_pair_are_told_at_the_start(stub, settings, tmp_path):
    config = settings()
    source, clips = open_frames(config.data.data_dir)
    short = [Clip(f"short{n}", 0, 2, 30.0) for n in range(7)]
    lines = []
    loop.pretrain(config, tmp_path / "run", (source, [*clips, *short]), notify=lines.append)
    assert lines[1:] == [
        "7 of 9 clips give no pair of 0.067 to 0.133 s:",
        *(
            f"  short{n}: 2 frames, 30 per second: 0.0333 s long, and a pair needs 0.0667 s"
            for n in range(5)
        ),
        "  and 2 more",
    ]


def expected_batches(config, numbers):
    source, clips = open_frames(config.data.data_dir)
    delta_seconds = (2 / 30, 4 / 30)
    pairs = make_pairs(source, clips, batch_size=8, delta_seconds=delta_seconds, seed=0, threads=1)
    sums = [zlib.crc32(next(pairs)["cur"].tobytes()) for _ in range(max(numbers) + 1)]
    return [sums[number] for number in numbers]


def steps_of(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


@pytest.mark.parametrize(("bad", "why"), [(np.nan, "loss is nan"), (50.0, "its median so far 1")])
def test_a_rewound_run_skips_the_failing_batches(stub, settings, tmp_path, bad, why):
    config = settings(on_divergence="rewind")
    # Step 23 fails: the 23rd call. Back at step 20, calls go on behind it.
    stub.losses = itertools.chain([1.0] * 22, [bad], itertools.repeat(1.0))
    with pytest.warns(Notice) as notices:
        assert train(config, tmp_path / "run").step == STEPS
    [warning] = [str(notice.message) for notice in notices]
    assert warning.startswith(f"step 23: {why if bad != 50 else 'loss is 50'}")
    assert "back to step 20, and on behind the batches since" in warning
    # Batches 20 to 22 went into steps 21 to 23, and 23 was begun when the news came.
    numbers = [*range(24), *range(23, 33)]
    assert stub.batches == expected_batches(config, numbers)
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [*range(1, STEPS + 1)]
    assert steps_of(tmp_path / "run") == [20, 25, 30]


def test_a_run_goes_on_before_a_damaged_checkpoint_to_the_same_end(stub, settings, tmp_path):
    config = settings()
    assert train(config, tmp_path / "whole").step == STEPS
    workdir = shutil.copytree(tmp_path / "whole", tmp_path / "run")
    arrays = [*(workdir / "checkpoints" / "30").rglob("d/*")]
    largest = max(arrays, key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    name = largest.relative_to(workdir / "checkpoints" / "30")
    with pytest.warns(Notice, match=rf"checkpoint 30 is damaged \({name} has \d+ bytes instead of"):
        assert train(config, workdir).step == STEPS
    assert stub.batches[-5:] == stub.batches[-10:-5], "of steps 26 to 30, twice"
    assert steps_of(workdir) == [20, 25, 30]
    for ours, theirs in zip(
        *(jax.tree.leaves(read_weights(folder)) for folder in (workdir, tmp_path / "whole")),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    rows, expected = ([row["step"] for row in read_metrics(tmp_path / d)] for d in ("run", "whole"))
    assert rows == expected


def test_a_second_run_of_a_workdir_is_refused(stub, settings, tmp_path):
    def second(*_):
        with pytest.raises(UserError, match=r"run: another run is writing it; .* \(process \d+ on"):
            train(settings(), tmp_path / "run")
        return 1.0

    stub.losses = itertools.chain([1.0] * 3, map(second, range(1)), itertools.repeat(1.0))
    assert train(settings(), tmp_path / "run").step == STEPS
    assert not (tmp_path / "run" / ".lock").exists()


def test_rewinds_are_numbered(stub, settings, tmp_path):
    stub.losses = itertools.chain([1.0] * 7, itertools.repeat(np.nan))
    with pytest.raises(UserError, match=r"step 6: loss is nan; stopped after 2 rewinds, and the"):
        train(settings(on_divergence="rewind", rewinds=2), tmp_path / "run")
    assert steps_of(tmp_path / "run") == [5]


def test_a_spike_stops(stub, settings, tmp_path):
    stub.losses = itertools.chain([1.0] * 25, [11.0], itertools.repeat(1.0))
    with pytest.raises(UserError, match=r"step 26: loss is 11, and its median so far 1; stopped"):
        train(settings(), tmp_path / "run")
    assert steps_of(tmp_path / "run") == [15, 20, 25]
    stub.losses = itertools.chain([11.0], itertools.repeat(1.0))
    assert train(settings(spike=0.0), tmp_path / "run").step == STEPS


@pytest.fixture
def small_files_from(stub, monkeypatch):
    """From some call on, no file may grow beyond 64 kB, as on a disk that is full."""
    before, begin = resource.getrlimit(resource.RLIMIT_FSIZE), Checkpoints.save

    def save(checkpoints, *arguments, **options):
        """No save takes longer than its step; its error comes later, as from the background."""
        begin(checkpoints, *arguments, **options)
        manager = checkpoints._manager
        try:
            manager.wait_until_finished()
        except Exception as error:
            # Either of the two, whichever comes first.
            once = Mock(side_effect=itertools.chain([error], itertools.repeat(None)))
            manager.check_for_errors = manager.wait_until_finished = once

    monkeypatch.setattr(Checkpoints, "save", save)

    def losses(first, last):
        for call in itertools.count(1):
            if call in (first, last):
                limit = 1 << 16 if call == first else before[0]
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            yield 1.0

    def arrange(first, last):
        stub.size, stub.losses = 1 << 17, losses(first, last)

    yield arrange
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_reported_and_training_continues(
    stub, settings, tmp_path, capfd, small_files_from
):
    small_files_from(9, 19)
    assert train(settings(), tmp_path / "run").step == STEPS
    warnings = capfd.readouterr().err
    for step in (10, 15):
        assert f"checkpoints/{step}: not written (" in warnings
    assert "the last good one is 5" in warnings
    assert steps_of(tmp_path / "run") == [20, 25, 30]
    assert len(stub.batches) == STEPS


def test_a_full_disk_stops_by_config(stub, settings, tmp_path, small_files_from):
    small_files_from(9, None)
    message = r"checkpoints/10: not written \(.*; the last good checkpoint \(5\) is kept: mend that"
    with pytest.raises(UserError, match=message):
        train(settings(on_save_error="stop"), tmp_path / "run")
    assert len(stub.batches) < STEPS
    assert read_weights(tmp_path / "run")[0] == 5


def test_a_failed_last_save_is_an_error(stub, settings, tmp_path, small_files_from):
    small_files_from(27, None)
    with pytest.raises(UserError, match=r"checkpoints/30: not written .* \(2[05]\) is kept"):
        train(settings(), tmp_path / "run")
    stub.losses = itertools.repeat(1.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, -1))
    assert train(settings(), tmp_path / "run").step == STEPS, "the same command goes on"
    assert steps_of(tmp_path / "run")[-1] == 30


def test_a_signal_during_the_last_save_leaves_a_run_that_is_done(
    stub, settings, tmp_path, monkeypatch
):
    save = Checkpoints.save

    def interrupted(checkpoints, step, *arguments, **options):
        save(checkpoints, step, *arguments, **options)
        if step == STEPS:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "save", interrupted)
    result = train(settings(), tmp_path / "run")
    assert (result.step, result.signal) == (STEPS, 0)
    assert read_weights(tmp_path / "run")[0] == STEPS


def test_a_signal_during_an_earlier_save_stops(stub, settings, tmp_path, monkeypatch):
    save = Checkpoints.save

    def interrupted(checkpoints, step, *arguments, **options):
        save(checkpoints, step, *arguments, **options)
        if step == 25:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoints, "save", interrupted)
    result = train(settings(), tmp_path / "run")
    assert (result.step, result.signal) == (25, signal.SIGTERM)
    assert read_weights(tmp_path / "run")[0] == 25


def test_a_workdir_that_is_read_only_for_a_while(stub, settings, tmp_path, capfd, monkeypatch):
    # Permissions do not bind root, which tests may run as: the call that fails is made to.
    make = os.mkdir

    def mkdir(path, *arguments, **more):
        if "checkpoints/1" in str(path):
            raise OSError(30, "Read-only file system", str(path))
        make(path, *arguments, **more)

    monkeypatch.setattr("os.mkdir", mkdir)
    assert train(settings(), tmp_path / "run").step == STEPS
    warnings = capfd.readouterr().err
    assert "checkpoints/10: not written ([Errno 30] Read-only file system" in warnings
    assert "checkpoints/15: not written ([Errno 30] Read-only file system" in warnings
    assert steps_of(tmp_path / "run") == [20, 25, 30]


def test_held_out_clips_have_a_curve_and_choose_the_best(stub, settings, tmp_path):
    config = settings(validate_every=5, epochs=15, keep=1)
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, validation_clips=0.5)
    )
    assert train(config, tmp_path / "run").step == STEPS
    rows = read_metrics(tmp_path / "run")
    curve = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    # 22 pairs of one clip: 2 steps an epoch. Eight batches, numbered 0 to 7.
    assert curve == {step: abs(step - 10) + 3.5 for step in range(5, 31, 5)}
    assert steps_of(tmp_path / "run") == [10, 30]


def test_epochs_can_be_fractions(stub, settings, tmp_path):
    # 44 pairs: 5 steps of 8 an epoch.
    result = train(settings(epochs=1.6), tmp_path / "run")
    assert (result.step, result.total_steps, result.signal) == (8, 8, 0)
    assert result.metrics["loss"] == 1
    assert result.checkpoints == tmp_path / "run" / "checkpoints"
    assert steps_of(tmp_path / "run") == [5, 8]


def test_a_window_is_profiled(stub, settings, tmp_path):
    train(settings(profile_steps=(3, 5)), tmp_path / "run")
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))


def test_telemetry_splits_the_time(stub, settings, tmp_path):
    train(settings(log_every=10), tmp_path / "run")
    rows = read_metrics(tmp_path / "run")
    assert [row["step"] for row in rows] == [10, 20, 30]
    for row in rows:
        parts = [row[f"{part}_seconds"] for part in ("data", "checkpoint", "compute")]
        assert all(part > 0 for part in parts)
        np.testing.assert_allclose(sum(parts), 8 / row["samples_per_second"], rtol=1e-2)
        rate = row["samples_per_second"]
        np.testing.assert_allclose(row["samples_per_second_per_device"], rate / 8, rtol=1e-2)
        assert "mfu" not in row, "nobody knows what this CPU can do"

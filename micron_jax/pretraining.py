"""Pretraining, top to bottom: data, mesh, program, init or restore, loop."""

import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from absl import logging

from micron_jax.data.pipeline import make_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.errors import UserError
from micron_jax.training import pictures
from micron_jax.training.checkpoint import Checkpoints, claim_workdir
from micron_jax.training.program import make_program
from micron_jax.training.recipe import FREE, PretrainConfig
from micron_jax.training.sharding import make_mesh
from micron_jax.training.telemetry import Telemetry, not_finite, read_metrics


def pretrain(config: PretrainConfig, workdir: Path) -> int:
    """Trains to the last epoch, or until it is told to stop.

    Returns:
      0 when done; 128 + the signal's number when a signal stopped it, with its state saved.

    Raises:
      UserError: the config does not fit corpus, devices or workdir, or the loss is not finite.
    """
    if config.model.attention == "cudnn" and jax.default_backend() != "gpu":
        raise UserError("config.model.attention='cudnn': there is no NVIDIA GPU here; use 'auto'")
    logging.set_verbosity(logging.ERROR)  # orbax tells of every file it writes
    source, clips = open_frames(Path(config.data.data_dir))
    pairs = make_pairs(
        source,
        clips,
        batch_size=config.batch_size,
        delta_min=config.data.delta_min,
        delta_max=config.data.delta_max,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        workers=config.data.workers,
        threads=config.data.threads,
    )
    steps_per_epoch = pairs.steps_per_epoch
    total_steps = config.epochs * steps_per_epoch

    mesh = make_mesh(config.mesh)
    program = make_program(config, mesh, steps_per_epoch=steps_per_epoch, total_steps=total_steps)

    def place(batch):
        return [
            jax.make_array_from_process_local_data(program.samples, batch[name])
            for name in ("cur", "ref")
        ]

    claim_workdir(workdir, dataclasses.asdict(config), free=FREE)
    checkpoints = Checkpoints(workdir, keep=config.keep)
    beginning = pairs.get_state()
    first_batch = place(next(pairs))  # what pictures show, the same in every one of the run
    start = checkpoints.latest() or 0
    if start:
        state = checkpoints.restore(start, program.shapes, pairs)
    else:
        state = program.init()
        pairs.set_state(beginning)

    chief = jax.process_index() == 0
    if chief:
        count = sum(leaf.size for leaf in jax.tree.leaves(program.shapes.params))
        print(
            f"{count / 1e6:.1f} M parameters; {pairs.pairs} pairs of {len(clips)} clips; "
            f"{total_steps} steps of {config.batch_size} in {config.epochs} epochs; "
            f"{mesh.size} device(s), data {mesh.shape['data']} x fsdp {mesh.shape['fsdp']}; "
            + (f"going on at step {start}" if start else f"beginning in {workdir}"),
            flush=True,
        )
    telemetry = Telemetry(
        workdir, start=start, total=total_steps, batch_size=config.batch_size, active=chief
    )
    unread = None  # the metrics of the last step, read while the next one runs

    def read():
        nonlocal unread
        if unread is None:
            return
        step, metrics, at = unread
        metrics = {name: float(value) for name, value in metrics.items()}
        unread = None
        if name := not_finite(metrics):
            raise UserError(
                f"step {step}: {name} is {metrics[name]}; stopped, and the last good checkpoint "
                f"({checkpoints.latest() or 'none yet'}) is kept: lower "
                "config.optimizer.learning_rate or set config.optimizer.clip_norm"
            )
        metrics["learning_rate"] = float(program.schedule(step - 1))
        telemetry.progress(metrics)
        if step % config.log_every == 0 or step == total_steps:
            telemetry.write(step, metrics, at)
        if step == start + 1:
            telemetry.begin(step, at)  # compiling is over

    def draw(step):
        sheet = {k: np.asarray(v) for k, v in program.look(state.params, *first_batch).items()}
        if chief:
            path = workdir / "pictures" / f"step_{step:08d}.png"
            pictures.draw_pairs(path, sheet, title=f"step {step}")
            pictures.draw_curves(
                workdir / "curves.png", read_metrics(workdir), title=f"{workdir.name}, step {step}"
            )

    try:
        with _stop_signals() as stopped_by:
            for step in range(start, total_steps):
                if step > start and step % config.checkpoint_every == 0:
                    read()  # what is saved has been seen to be finite
                    checkpoints.save(step, state, pairs)
                if stopped_by:
                    break
                cur, ref = place(next(pairs))
                state, metrics = program.train(state, cur, ref)
                read()
                unread = (step + 1, metrics, time.perf_counter())
                if (step + 1) % config.picture_every == 0 or step + 1 == total_steps:
                    read()
                    draw(step + 1)
                    telemetry.begin(step + 1, time.perf_counter())
            read()
            last = int(state.step)
            if last not in (start, checkpoints.latest()):
                checkpoints.save(last, state, pairs)
    finally:
        telemetry.close()
        checkpoints.close()
        pairs.close()
    if last < total_steps:
        print(f"stopped at step {last}, which is saved; the same command goes on", file=sys.stderr)
        return 128 + stopped_by[0]
    if chief:
        print(f"done: {total_steps} steps in {workdir}")
    return 0


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list into which SIGTERM or SIGINT puts its number; a second one of a kind kills."""
    received = []

    def receive(number, _):
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Pretraining, top to bottom: data, mesh, program, init or restore, loop."""

import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Iterator
from logging import CRITICAL, getLogger
from pathlib import Path

import jax
import numpy as np
from absl import logging

from micron_jax.data.pairs import hold_out
from micron_jax.data.pipeline import PairIterator, held_out_batches, make_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.errors import UserError
from micron_jax.training import hosts, pictures
from micron_jax.training.checkpoint import Checkpoints, SaveError
from micron_jax.training.compiled import give_back, keep_compiled
from micron_jax.training.config import FREE, PretrainConfig
from micron_jax.training.flops import peak_flops, train_flops
from micron_jax.training.jitted import Program, make_program
from micron_jax.training.sharding import make_mesh
from micron_jax.training.state import TrainState
from micron_jax.training.telemetry import Profiler, Telemetry, read_metrics
from micron_jax.training.watch import CollapseWatch, Diverged, DivergenceWatch
from micron_jax.training.workdir import claim_workdir

_SAVE_FAILED = 1000  # a reason to stop, above every signal


def pretrain(config: PretrainConfig, workdir: Path) -> int:
    """Trains to the last epoch, or until it is told to stop. Every process of a run calls it.

    Returns:
      0 when done; 128 + the signal's number when a signal stopped it, with its state saved.

    Raises:
      UserError: the config does not fit corpus, devices or workdir; the loss diverged, or a
        checkpoint could not be written, and the config says to stop.
    """
    if config.model.attention == "cudnn" and jax.default_backend() != "gpu":
        raise UserError("config.model.attention='cudnn': there is no NVIDIA GPU here; use 'auto'")
    # Orbax tells of every file, and it and asyncio of errors that we tell of.
    logging.set_verbosity(logging.FATAL)
    getLogger("asyncio").setLevel(CRITICAL)
    source, clips = hosts.together(lambda: open_frames(Path(config.data.data_dir)))
    kept, held = hold_out(
        clips, config.data.validation_clips, delta_min=config.data.delta_min, seed=config.seed
    )
    drawn = dict(
        batch_size=config.batch_size,
        delta_min=config.data.delta_min,
        delta_max=config.data.delta_max,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        threads=config.data.threads,
    )
    pairs = make_pairs(source, kept, workers=config.data.workers, **drawn)
    held_out = (
        held_out_batches(source, held, batches=config.validation_batches, **drawn) if held else ()
    )
    total_steps = config.total_steps(pairs.steps_per_epoch)

    mesh = make_mesh(config.mesh)
    program = make_program(
        config, mesh, steps_per_epoch=pairs.steps_per_epoch, total_steps=total_steps
    )

    settings = dataclasses.asdict(config)
    hosts.together(lambda: hosts.is_chief() and claim_workdir(workdir, settings, free=FREE))
    keep_compiled(workdir)
    with (
        contextlib.closing(pairs),
        Checkpoints(workdir, keep=config.keep) as checkpoints,
        hosts.StopSignals() as stop,
    ):
        run = _Run(config, workdir, program, pairs, held_out, checkpoints, stop, total_steps)
        state, start = run.restore_or_begin()
        if hosts.is_chief():
            count = sum(leaf.size for leaf in jax.tree.leaves(program.shapes.params))
            print(
                f"{count / 1e6:.1f} M parameters; {pairs.pairs} pairs of {len(kept)} clips, "
                f"{len(held)} held out; "
                f"{total_steps} steps of {config.batch_size} in {config.epochs:g} epochs; "
                f"{mesh.size} device(s) of {jax.process_count()} process(es), "
                f"data {mesh.shape['data']} x fsdp {mesh.shape['fsdp']}; "
                + (f"going on at step {start}" if start else f"beginning in {workdir}"),
                flush=True,
            )
        for rewinds in itertools.count():
            try:
                last, stopped_by = run.train(state, start)
                break
            except Diverged as diverged:
                state = None  # its memory is wanted
                state, start = run.rewind(diverged, rewinds)
    if last < total_steps:
        if hosts.is_chief():
            print(
                f"stopped at step {last}, which is saved; the same command goes on", file=sys.stderr
            )
        return 128 + stopped_by
    if hosts.is_chief():
        print(f"done: {total_steps} steps in {workdir}")
    return 0


@dataclasses.dataclass
class _Run:
    """A pretraining whose parts are all made."""

    config: PretrainConfig
    workdir: Path
    program: Program
    pairs: PairIterator
    held_out: object  # batches, or nothing
    checkpoints: Checkpoints
    stop: hosts.StopSignals
    total_steps: int
    unsaved: SaveError | None = None  # why the last checkpoint that was tried is not there

    def __post_init__(self):
        self.beginning = self.pairs.get_state()
        # What pictures show, the same in every one of the run.
        self.first_batch = self.place(next(self.pairs))

    def place(self, batch: dict) -> list[jax.Array]:
        """This process's rows of a batch -> the arrays of the whole, over all devices."""
        return [
            jax.make_array_from_process_local_data(self.program.samples, batch[name])
            for name in ("cur", "ref")
        ]

    def restore_or_begin(self) -> tuple[TrainState, int]:
        """The newest state that can be read, or a first one, and its step; the data with it."""
        if restored := self.checkpoints.restore(self.program.shapes, self.pairs):
            step, state = restored
            return state, step
        self.pairs.set_state(self.beginning)
        return self.program.init(), 0

    def train(self, state: TrainState, start: int) -> tuple[int, int]:
        """Trains from step `start` on.

        Returns:
          The last step, which is saved, and the number of the signal that stopped it or 0.

        Raises:
          Diverged: see `watch`; nothing of it is saved.
        """
        config, program = self.config, self.program
        telemetry = Telemetry(
            self.workdir,
            start=start,
            total=self.total_steps,
            batch_size=config.batch_size,
            devices=jax.device_count(),
            flops=train_flops(config.model, config.views, config.objective),
            peak=peak_flops(jax.devices()[0].device_kind),
            active=hosts.is_chief(),
        )
        profiler = Profiler(self.workdir / "profile", config.profile_steps)
        self.began = (start, self.pairs.get_state())
        divergence, collapse = DivergenceWatch(spike=config.spike), CollapseWatch()
        unread = None  # the metrics of the last step, read while the next one runs
        validated = (None, None)  # the last step that was, and its loss
        stopped_by = 0

        def read():
            nonlocal unread
            if unread is None:
                return
            (step, metrics), unread = unread, None
            metrics = {name: float(value) for name, value in metrics.items()}
            divergence.look(step, metrics)
            if warning := collapse.look(step, metrics):
                telemetry.warn(warning)
            metrics["learning_rate"] = float(program.schedule(step - 1))
            telemetry.progress(metrics)
            if step % config.log_every == 0 or step == self.total_steps:
                telemetry.write(step, metrics)
            if step == start + 1:
                give_back()
                telemetry.begin(step)  # compiling is over

        def save(step):
            if step in (start, self.checkpoints.latest()):
                return
            loss = validated[1] if validated[0] == step else None
            with telemetry.timed("checkpoint"):
                with self.save_errors(telemetry):
                    self.checkpoints.wait()
                if self.unsaved and config.on_save_error == "stop":
                    return
                self.unsaved = None
                with self.save_errors(telemetry):
                    self.checkpoints.save(step, state, self.pairs, validation_loss=loss)

        try:
            for step in range(start, self.total_steps):
                if step > start and step % config.checkpoint_every == 0:
                    read()  # what is saved has been seen to be sound
                    save(step)
                with self.save_errors(telemetry):
                    self.checkpoints.check()
                if stopped_by := self.stop.agreed():
                    break
                with telemetry.timed("data"):
                    cur, ref = self.place(next(self.pairs))
                profiler.before(step + 1)
                state, metrics = program.train(state, cur, ref)
                profiler.after(step + 1, metrics)
                read()
                unread = (step + 1, metrics)
                now, ends = step + 1, step + 1 == self.total_steps
                if self.held_out and (now % config.validate_every == 0 or ends):
                    read()
                    validated = (now, self.validate(state, now, telemetry))
                    telemetry.begin(now)
                if now % config.picture_every == 0 or ends:
                    read()
                    with telemetry.tolerated("pictures"):
                        self.draw(state, now)
                    telemetry.begin(now)
            read()
            last = int(state.step)
            if stopped_by != _SAVE_FAILED:
                save(last)
                with self.save_errors(telemetry):
                    self.checkpoints.wait()
        finally:
            profiler.close()
            telemetry.close()
        if self.unsaved or stopped_by == _SAVE_FAILED:
            raise UserError(
                f"{self.unsaved or 'another process could not write its checkpoint'}; stopped at "
                f"step {last}; the last good checkpoint ({self.checkpoints.latest() or 'none'}) is "
                "kept: mend that, and the same command goes on"
            )
        return last, stopped_by

    @contextlib.contextmanager
    def save_errors(self, telemetry: Telemetry) -> Iterator[None]:
        """Does about a `SaveError` what the config says."""
        try:
            yield
        except SaveError as error:
            self.unsaved = error
            telemetry.warn(f"{error}; the last good one is {self.checkpoints.latest() or 'none'}")
            # Alone, one process cannot know what the others have written of theirs.
            if self.config.on_save_error == "stop" or jax.process_count() > 1:
                self.stop.ask(_SAVE_FAILED)

    def rewind(self, diverged: Diverged, done: int) -> tuple[TrainState, int]:
        """The last good state and its step; the data stay behind the batches that went wrong.

        Raises:
          UserError: the config says to stop, or it has been `done` often enough.
        """
        kept = f"the last good checkpoint ({self.checkpoints.latest() or 'none yet'})"
        if self.config.on_divergence == "stop" or done == self.config.rewinds:
            again = f" after {done} rewinds" if done else ""
            raise UserError(
                f"{diverged}; stopped{again}, and {kept} is kept: lower "
                "config.optimizer.learning_rate, set config.optimizer.clip_norm or "
                "config.on_divergence=rewind"
            )
        began, place = self.began
        with contextlib.suppress(SaveError):  # then it is the one before
            self.checkpoints.wait()
        state, start = self.restore_or_begin()
        self.pairs.set_state(place | {"batch": place["batch"] + diverged.step - began})
        if hosts.is_chief():
            print(
                f"warning: {diverged}; back to step {start}, and on behind the batches since",
                file=sys.stderr,
            )
        return state, start

    def validate(self, state: TrainState, step: int, telemetry: Telemetry) -> float:
        """The mean loss over the held-out batches, recorded with its parts."""
        losses = []
        for number, batch in enumerate(self.held_out):
            parts = self.program.validate(state, np.int32(number), *self.place(batch))
            losses.append({name: float(value) for name, value in parts.items()})
        means = {name: float(np.mean([part[name] for part in losses])) for name in losses[0]}
        telemetry.write_validation(step, means)
        return means["loss"]

    def draw(self, state: TrainState, step: int) -> None:
        """Pictures of the first pairs, and the curves."""
        sheet = self.program.look(state.params, *self.first_batch)
        if not hosts.is_chief():
            return
        title = f"step {step}"
        path = self.workdir / "pictures" / f"step_{step:08d}.png"
        pictures.draw_pairs(path, {k: np.asarray(v) for k, v in sheet.items()}, title=title)
        pictures.draw_curves(
            self.workdir / "curves.png",
            read_metrics(self.workdir),
            title=f"{self.workdir.name}, {title}",
        )

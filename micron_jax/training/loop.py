"""Pretraining, top to bottom: data, mesh, functions, first or restored state, loop."""

import contextlib
import dataclasses
import itertools
import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import absl.logging
import jax
import numpy as np

from micron_jax.data.pairs import Clip, hold_out, pairless
from micron_jax.data.pipeline import PLACES, PairIterator, held_out_batches, make_pairs
from micron_jax.errors import Notice, UserError
from micron_jax.synthetic.known_pairs import draw_pairs
from micron_jax.training import hosts, pictures
from micron_jax.training.checkpoint import Checkpoints, SaveError
from micron_jax.training.config import FREE, PretrainConfig
from micron_jax.training.jitted import TrainFunctions, jit_functions
from micron_jax.training.saving import Saver
from micron_jax.training.sharding import make_mesh
from micron_jax.training.state import TrainState
from micron_jax.training.telemetry import Profiler, Telemetry, read_metrics
from micron_jax.training.watch import Diverged, StepMetrics
from micron_jax.training.workdir import cache_compiled, claim_workdir, sole_run

LISTED = 5  # clips that give no pair, before "and N more"


@dataclasses.dataclass(frozen=True)
class PretrainResult:
    """The end of a pretraining, whose last state is saved.

    Attributes:
      step, total_steps: steps taken, and those of the whole run.
      signal: number of the signal that stopped the run before, or 0.
      metrics: of the last step; empty if none was taken since the start.
      checkpoints: their folder.
    """

    step: int
    total_steps: int
    signal: int
    metrics: dict[str, float]
    checkpoints: Path


def pretrain(
    config: PretrainConfig,
    workdir: Path,
    corpus: tuple[Any, Sequence[Clip]],
    *,
    notify: Callable[[str], None] = lambda line: None,
) -> PretrainResult:
    """Trains to the last epoch, or until a signal stops it. Every process of a run calls it.

    Args:
      config: all settings.
      workdir: checkpoints, metrics and pictures; a run there goes on.
      corpus: (source, clips): `source.__getitems__([record, ...])` gives dicts with JPEG bytes in
        "image", and `clips` is the index of the records.
      notify: gets a line that describes the run before it trains, on one process.

    Raises:
      UserError: the config does not fit corpus, devices or workdir; another run holds the workdir;
        the loss diverged, or a checkpoint could not be written, and the config says to stop.
    """
    if config.model.attention == "cudnn" and jax.default_backend() != "gpu":
        raise UserError("config.model.attention='cudnn': there is no NVIDIA GPU here; use 'auto'")
    # Orbax logs every file, and it and asyncio errors that are reported here.
    absl.logging.set_verbosity(absl.logging.FATAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        hosts.together(lambda: hosts.is_chief() and stack.enter_context(sole_run(workdir)))
        return _pretrain(config, workdir, corpus, notify)


def _pretrain(
    config: PretrainConfig,
    workdir: Path,
    corpus: tuple[Any, Sequence[Clip]],
    notify: Callable[[str], None],
) -> PretrainResult:
    source, clips = corpus
    train_clips, validation_clips = hold_out(
        clips,
        config.data.validation_clips,
        delta_seconds=config.data.delta_seconds,
        seed=config.seed,
    )
    reading = dict(
        batch_size=config.batch_size,
        delta_seconds=config.data.delta_seconds,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        threads=config.data.threads,
        draw=draw_pairs if config.model.displacement_width else None,
    )
    batches = make_pairs(source, train_clips, workers=config.data.workers, **reading)
    validation_batches = ()
    if validation_clips:
        validation_batches = held_out_batches(
            source, validation_clips, batches=config.validation_batches, **reading
        )
    total_steps = config.total_steps(batches.steps_per_epoch)

    mesh = make_mesh(config.mesh)
    functions = jit_functions(
        config, mesh, steps_per_epoch=batches.steps_per_epoch, total_steps=total_steps
    )
    settings = dataclasses.asdict(config)
    hosts.together(lambda: hosts.is_chief() and claim_workdir(workdir, settings, free=FREE))
    cache_compiled(workdir)
    with (
        contextlib.closing(batches),
        Checkpoints(workdir, keep=config.keep) as checkpoints,
        hosts.StopSignals() as stop,
    ):
        trainer = Trainer(
            config, workdir, functions, batches, validation_batches, checkpoints, stop, total_steps
        )
        state, start = trainer.restore_or_init()
        if hosts.is_chief():
            parameters = sum(leaf.size for leaf in jax.tree.leaves(functions.state.params))
            notify(
                f"{parameters / 1e6:.1f} M parameters; {batches.pairs} pairs of "
                f"{len(train_clips)} clips, {len(validation_clips)} held out; "
                f"{total_steps} steps of {config.batch_size} in {config.epochs:g} epochs; "
                f"{mesh.size} device(s) of {jax.process_count()} process(es), "
                f"data {mesh.shape['data']} x fsdp {mesh.shape['fsdp']}; "
                + (f"going on at step {start}" if start else f"beginning in {workdir}")
            )
            for line in _pairless_lines(clips, config.data.delta_seconds):
                notify(line)
        for rewinds in itertools.count():
            try:
                return trainer.train(state, start)
            except Diverged as diverged:
                state = None  # its memory is needed
                state, start = trainer.rewind(diverged, rewinds)


def _pairless_lines(clips: Sequence[Clip], delta_seconds: tuple[float, float]) -> list[str]:
    """Returns a line on the clips that give no pair, and one on each of the first few."""
    unused = pairless(clips, delta_seconds)
    if not unused:
        return []
    low, high = delta_seconds
    more = [f"  and {len(unused) - LISTED:,} more"] if len(unused) > LISTED else []
    return [
        f"{len(unused):,} of {len(clips):,} clips give no pair of {low:.3f} to {high:.3f} s:",
        *(f"  {entry['clip']}: {entry['reason']}" for entry in unused[:LISTED]),
        *more,
    ]


@dataclasses.dataclass
class Trainer:
    """A pretraining whose parts are ready."""

    config: PretrainConfig
    workdir: Path
    functions: TrainFunctions
    batches: PairIterator
    validation_batches: Iterable[dict]
    checkpoints: Checkpoints
    stop: hosts.StopSignals
    total_steps: int

    def __post_init__(self):
        self.beginning = self.batches.get_state()
        self.first_batch = self.to_devices(next(self.batches))  # all pictures show it

    def to_devices(self, batch: dict) -> dict[str, jax.Array]:
        """Puts this process's rows of a batch over all devices, as those of the whole batch."""
        sharding = self.functions.batch_sharding
        return {
            name: jax.make_array_from_process_local_data(sharding, rows)
            for name, rows in batch.items()
            if name not in PLACES
        }

    def restore_or_init(self) -> tuple[TrainState, int]:
        """The newest state that can be read, or a first one, and its step; moves the data there."""
        if restored := self.checkpoints.restore(self.functions.state, self.batches):
            step, state = restored
            return state, step
        self.batches.set_state(self.beginning)
        return self.functions.init(), 0

    def train(self, state: TrainState, start: int) -> PretrainResult:
        """Trains from step `start` on, and saves the last state.

        Raises:
          Diverged: see `watch`; the states since the last checkpoint are lost.
          UserError: a checkpoint could not be written, and the config says to stop.
        """
        config = self.config
        telemetry = Telemetry(self.workdir, config, start=start, total=self.total_steps)
        self.start, self.start_of_data = start, self.batches.get_state()
        stop_at_error = config.on_save_error == "stop"
        saver = Saver(self.checkpoints, self.stop, telemetry, self.batches, stop_at_error)
        step_metrics = StepMetrics(config, self.functions.learning_rate, telemetry)
        profiler = Profiler(self.workdir / "profile", *config.profile_steps)
        reason, losses = 0, {}  # losses: validated step -> its loss
        try:
            for step in range(start + 1, self.total_steps + 1):
                if step > start + 1 and (step - 1) % config.checkpoint_every == 0:
                    step_metrics.read()  # only a state known to be sound is saved
                    saver.save(state, step - 1, losses.get(step - 1))
                saver.check()
                if reason := self.stop.agreed():
                    break
                with telemetry.timed("data"):
                    batch = self.to_devices(next(self.batches))
                profiler.before(step)
                state, metrics = self.functions.train(state, batch)
                profiler.after(step, metrics)
                step_metrics.add(step, metrics)
                last = step == self.total_steps
                if self.validation_batches and (last or step % config.validate_every == 0):
                    step_metrics.read()
                    means = self.validate(state)
                    telemetry.write_validation(step, means)
                    losses = {step: means["loss"]}
                    telemetry.restart_clocks(step)
                if last or step % config.picture_every == 0:
                    step_metrics.read()
                    with telemetry.tolerated("pictures"):
                        self.draw(state, step)
                    telemetry.restart_clocks(step)
            step_metrics.read()
            step = int(state.step)
            saver.finish(state, step, losses.get(step), reason=reason)
        finally:
            profiler.close()
            telemetry.close()
        folder = Checkpoints.folder(self.workdir)
        return PretrainResult(step, self.total_steps, reason, step_metrics.latest, folder)

    def rewind(self, diverged: Diverged, rewinds: int) -> tuple[TrainState, int]:
        """Restores the last good state, and moves the data behind the batches that went wrong.

        Raises:
          UserError: the config says to stop, or allows no more than those `rewinds` before.
        """
        if self.config.on_divergence == "stop" or rewinds == self.config.rewinds:
            raise UserError(
                f"{diverged}; stopped{f' after {rewinds} rewinds' if rewinds else ''}, and the "
                f"last good checkpoint ({self.checkpoints.latest() or 'none yet'}) is kept: lower "
                "config.optimizer.learning_rate, set config.optimizer.clip_norm or "
                "config.on_divergence=rewind"
            )
        data, steps = self.start_of_data, diverged.step - self.start
        with contextlib.suppress(SaveError):  # then the checkpoint before is the last
            self.checkpoints.wait()
        state, step = self.restore_or_init()
        self.batches.set_state(data | {"batch": data["batch"] + steps})
        if hosts.is_chief():
            message = f"{diverged}; back to step {step}, and on behind the batches since"
            warnings.warn(Notice(message), stacklevel=2)
        return state, step

    def validate(self, state: TrainState) -> dict[str, float]:
        """Returns the mean losses over the held-out batches."""
        losses = [
            self.functions.validate(state, np.int32(i), self.to_devices(batch))
            for i, batch in enumerate(self.validation_batches)
        ]
        return {name: float(np.mean([float(x[name]) for x in losses])) for name in losses[0]}

    def draw(self, state: TrainState, step: int) -> None:
        """Draws pictures of the first pairs, and the curves."""
        images = self.functions.preview(state.params, self.first_batch)
        if not hosts.is_chief():
            return
        path = self.workdir / "pictures" / f"step_{step:08d}.png"
        pictures.draw_pairs(path, jax.tree.map(np.asarray, images), title=f"step {step}")
        title = f"{self.workdir.name}, step {step}"
        pictures.draw_curves(self.workdir / "curves.png", read_metrics(self.workdir), title=title)

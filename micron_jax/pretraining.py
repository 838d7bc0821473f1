"""Pretraining, top to bottom: config, data, mesh, model, shardings, init or restore, loop."""

import contextlib
import dataclasses
import functools
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from absl import logging
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax import config as configs
from micron_jax.data.pipeline import make_pairs
from micron_jax.data.views import ViewsConfig, denormalise, make_views
from micron_jax.datasets.frames import open_frames
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import patchify, unpatchify
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.training import pictures
from micron_jax.training.checkpoint import Checkpoints, claim_workdir, shapes_with_shardings
from micron_jax.training.losses import ObjectiveConfig, patch_moments
from micron_jax.training.optimizer import OptimizerConfig, learning_rate, make_optimizer
from micron_jax.training.sharding import MeshConfig, batch_sharding, make_mesh, state_shardings
from micron_jax.training.state import init_state
from micron_jax.training.steps import make_step
from micron_jax.training.telemetry import Telemetry, not_finite, read_metrics


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The corpus and how pairs are drawn from it.

    Attributes:
      data_dir: where `micron-jax data build frames` put it.
      delta_min, delta_max: distance δ of a pair, frames at 30 fps, both included (ours).
      workers: reader processes; 0 reads in threads of this one.
      threads: that read ahead, a batch each.
    """

    data_dir: str
    delta_min: int = 5
    delta_max: int = 11
    workers: int = 0
    threads: int = 4


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """All settings of a pretraining.

    Attributes:
      data, model, views, objective, optimizer, mesh: sections, see their classes.
      seed: of everything random.
      batch_size: pairs a step, over all devices.
      epochs: passes over all pairs of the corpus.
      log_every, picture_every, checkpoint_every: in steps.
      keep: checkpoints that are kept.
    """

    data: DataConfig
    model: ModelConfig
    views: ViewsConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig
    seed: int = 0
    batch_size: int = 256
    epochs: int = 200
    log_every: int = 50
    picture_every: int = 1000
    checkpoint_every: int = 1000
    keep: int = 3

    def __post_init__(self):
        for field in (
            "batch_size", "epochs", "log_every", "picture_every", "checkpoint_every", "keep",
        ):  # fmt: skip
            if getattr(self, field) < 1:
                raise UserError(f"config.{field}={getattr(self, field)}: must be at least 1")
        needs = {"dino": ("global_crops", 2), "mse": ("local_crops", 1)}
        if self.objective.agreement in needs:
            field, least = needs[self.objective.agreement]
            if getattr(self.views, field) < least:
                raise UserError(
                    f"config.views.{field}={getattr(self.views, field)}: "
                    f"objective.agreement={self.objective.agreement!r} needs {least}"
                )
        if (self.objective.agreement == "dino") != (self.model.projection_dim > 0):
            raise UserError(
                f"config.model.projection_dim={self.model.projection_dim}: the projection head "
                "belongs to objective.agreement='dino', and only to that"
            )
        if self.objective.agreement == "dino" and self.views.global_crops != 2:
            raise UserError(f"config.views.global_crops={self.views.global_crops}: dino takes 2")
        if self.views.local_crops and self.views.local_size % self.model.patch_size:
            raise UserError(
                f"config.views.local_size={self.views.local_size}: "
                f"not a multiple of model.patch_size={self.model.patch_size}"
            )


# What may change when a run goes on: none of it reaches the parameters.
FREE = {
    "log_every", "picture_every", "checkpoint_every", "keep",
    "data.data_dir", "data.workers", "data.threads", "mesh.data", "mesh.fsdp",
}  # fmt: skip


def parse(values: dict) -> PretrainConfig:
    """The config from nested dicts; `model.size` stands for the fields of that size.

    Raises:
      UserError: an unknown or missing field, a bad value.
    """
    model = dict(values.get("model", {}))
    size = model.pop("size", None)
    if size is not None:
        named = dataclasses.asdict(ModelConfig.of_size(size))
        model = named | model
    return configs.build(PretrainConfig, values | {"model": model})


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
    if config.batch_size % mesh.size:
        raise UserError(
            f"config.batch_size={config.batch_size}: does not divide over {mesh.size} devices"
        )
    schedule = learning_rate(
        config.optimizer,
        batch_size=config.batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    optimizer = make_optimizer(config.optimizer, schedule)
    step_fn = make_step(
        config.model,
        config.objective,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    init_key, views_key = jax.random.split(jax.random.key(config.seed))
    views_of = functools.partial(
        make_views,
        config=config.views,
        img_size=config.model.img_size,
        patch_size=config.model.patch_size,
    )

    def train(state, cur, ref):
        views = views_of(jax.random.fold_in(views_key, state.step), cur, ref)
        return step_fn(state, views)

    init = functools.partial(
        init_state, config.model, optimizer, dino=config.objective.agreement == "dino"
    )
    shapes = jax.eval_shape(init, init_key)
    shardings = state_shardings(mesh, shapes)
    samples, everywhere = batch_sharding(mesh), NamedSharding(mesh, P())
    train = jax.jit(
        train,
        in_shardings=(shardings, samples, samples),
        out_shardings=(shardings, everywhere),
        donate_argnums=0,
    )
    look = jax.jit(
        functools.partial(_look, config.model, views_of, config.objective.norm_pix),
        in_shardings=(shardings.params, everywhere, samples, samples),
        out_shardings=everywhere,
    )

    def place(batch):
        return [
            jax.make_array_from_process_local_data(samples, batch[name]) for name in ("cur", "ref")
        ]

    claim_workdir(workdir, dataclasses.asdict(config), free=FREE)
    checkpoints = Checkpoints(workdir, keep=config.keep)
    beginning = pairs.get_state()
    first_batch = place(next(pairs))  # what pictures show, the same in every one of the run
    start = checkpoints.latest() or 0
    if start:
        state = checkpoints.restore(start, shapes_with_shardings(shapes, shardings), pairs)
    else:
        state = jax.jit(init, out_shardings=shardings)(init_key)
        pairs.set_state(beginning)

    chief = jax.process_index() == 0
    if chief:
        count = sum(leaf.size for leaf in jax.tree.leaves(shapes.params))
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
        metrics["learning_rate"] = float(schedule(step - 1))
        telemetry.progress(metrics)
        if step % config.log_every == 0 or step == total_steps:
            telemetry.write(step, metrics, at)
        if step == start + 1:
            telemetry.begin(step, at)  # compiling is over

    def draw(step):
        sheet = {k: np.asarray(v) for k, v in look(state.params, views_key, *first_batch).items()}
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
                state, metrics = train(state, cur, ref)
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


def _look(model: ModelConfig, views_of, norm_pix: bool, params, key, cur, ref) -> dict:
    """What `pictures.draw_pairs` shows, of the first four pairs."""
    views = views_of(key, cur[:4], ref[:4])
    module = MicronBertModule(model)

    def run(method, *args, **kwargs):
        return module.apply({"params": params}, *args, method=method, **kwargs)

    rep, ref_, cur_ = (run("encode", views[name]) for name in ("rep", "ref", "cur"))
    pred = run("decode", run("attend", rep, ref_))
    if norm_pix:
        mean, deviation = patch_moments(patchify(views["cur"], model.patch_size))
        pred = pred * deviation + mean
    pred = unpatchify(pred, model.patch_size, (model.grid, model.grid))
    heat = run("heat", cur_, ref_, "symmetric").reshape(-1, model.grid, model.grid)
    images = {name: denormalise(views[name]) for name in ("cur", "ref", "rep")}
    return images | {"pred": denormalise(pred), "heat": heat}


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

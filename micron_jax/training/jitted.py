"""What a pretraining computes, compiled: init, train step, pictures, with all their shardings."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.data.views import denormalize, make_views
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import patchify, unpatchify
from micron_jax.models.micron_bert import bound
from micron_jax.training.config import PretrainConfig
from micron_jax.training.losses import patch_moments, teacher_temperature
from micron_jax.training.optimizer import learning_rate, make_optimizer
from micron_jax.training.sharding import batch_sharding, state_shardings
from micron_jax.training.state import TrainState, init_state
from micron_jax.training.steps import make_loss, make_step


@dataclasses.dataclass(frozen=True)
class Program:
    """The functions of a run on a mesh, jitted with their shardings; nothing has run yet.

    Attributes:
      shapes: the `TrainState` as `ShapeDtypeStruct`s with shardings.
      samples: where a batch of frames lives, spread along its first axis.
      init: init() -> the state before the first step.
      train: train(state, cur, ref) -> (state, metrics); cur and ref are uint8 [B, H, W, 3]; the
        state is donated. Augmentation is drawn from (seed, state.step) and is part of it.
      validate: validate(state, number, cur, ref) -> losses of batch `number` of held-out clips;
        its views are drawn from (seed, number) and stay the same all through the run.
      look: look(params, cur, ref) -> what `pictures.draw_pairs` shows, of the first four pairs.
      schedule: step -> learning rate.
    """

    shapes: TrainState
    samples: NamedSharding
    init: Callable
    train: Callable
    validate: Callable
    look: Callable
    schedule: optax.Schedule


def make_program(
    config: PretrainConfig, mesh: Mesh, *, steps_per_epoch: int, total_steps: int
) -> Program:
    """The functions of a run.

    Args:
      config: of the run.
      mesh: from `sharding.make_mesh`; its devices need not be of this machine.
      steps_per_epoch, total_steps: what the schedules count in.

    Raises:
      UserError: batch or parameters do not divide over the mesh.
    """
    if config.batch_size % mesh.size:
        raise UserError(
            f"config.batch_size={config.batch_size}: does not divide over {mesh.size} devices"
        )
    if config.batch_size % (mesh.size * config.accumulate):
        raise UserError(
            f"config.accumulate={config.accumulate}: does not divide the "
            f"{config.batch_size // mesh.size} samples of a device"
        )
    schedule = learning_rate(
        config.optimizer,
        batch_size=config.batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    optimizer = make_optimizer(config.optimizer, schedule)
    step = make_step(
        config.model,
        config.objective,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        accumulate=config.accumulate,
        in_turn=mesh.size == 1,
    )
    loss = make_loss(config.model, config.objective)
    init_key, views_key = jax.random.split(jax.random.key(config.seed))
    validation_key = jax.random.fold_in(views_key, 2**32 - 1)  # no step has it
    views_of = functools.partial(
        make_views,
        config=config.views,
        img_size=config.model.img_size,
        patch_size=config.model.patch_size,
    )

    def init():
        return init_state(
            config.model, optimizer, init_key, dino=config.objective.agreement == "dino"
        )

    def train(state, cur, ref):
        views = views_of(jax.random.fold_in(views_key, state.step), cur, ref)
        return step(state, views)

    def validate(state, number, cur, ref):
        views = views_of(jax.random.fold_in(validation_key, number), cur, ref)
        temperature = teacher_temperature(config.objective, state.step // steps_per_epoch)
        _, parts = loss(state.params, state.teacher, state.center, views, temperature)
        names = ("loss", "reconstruction", "agreement", "motion")
        return {name: parts[name] for name in names if name in parts}

    def look(params, cur, ref):
        views = views_of(views_key, cur[:4], ref[:4])
        return _look(config.model, config.objective.norm_pix, params, views)

    shapes = jax.eval_shape(init)
    shardings = state_shardings(mesh, shapes)
    samples, everywhere = batch_sharding(mesh), NamedSharding(mesh, P())
    return Program(
        shapes=_with_shardings(shapes, shardings),
        samples=samples,
        init=jax.jit(init, out_shardings=shardings),
        train=jax.jit(
            train,
            in_shardings=(shardings, samples, samples),
            out_shardings=(shardings, everywhere),
            donate_argnums=0,
        ),
        validate=jax.jit(
            validate,
            in_shardings=(shardings, everywhere, samples, samples),
            out_shardings=everywhere,
        ),
        look=jax.jit(
            look,
            in_shardings=(shardings.params, samples, samples),
            out_shardings=everywhere,
        ),
        schedule=schedule,
    )


def _with_shardings(shapes, shardings):
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        shardings,
    )


def _look(model: ModelConfig, norm_pix: bool, params: dict, views: dict) -> dict:
    network = bound(model, params)
    rep, ref_, cur_ = (network.encode(views[name]) for name in ("rep", "ref", "cur"))
    pred = network.decode(network.attend(rep, ref_))
    if norm_pix:
        mean, deviation = patch_moments(patchify(views["cur"], model.patch_size))
        pred = pred * deviation + mean
    pred = unpatchify(pred, model.patch_size, (model.grid, model.grid))
    heat = network.motion_map(cur_, ref_, "symmetric").reshape(-1, model.grid, model.grid)
    images = {name: denormalize(views[name]) for name in ("cur", "ref", "rep")}
    return images | {"pred": denormalize(pred), "heat": heat}

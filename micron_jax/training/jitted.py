"""Jitted functions of a pretraining on a mesh: first state, train step, validation, preview."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.checks import require
from micron_jax.data.views import denormalize, known_pairs, make_views
from micron_jax.models import tpu
from micron_jax.models.layers import unpatchify
from micron_jax.models.micron_bert import bound
from micron_jax.synthetic.known_pairs import SIZE
from micron_jax.training.config import PretrainConfig
from micron_jax.training.losses import restore_patches
from micron_jax.training.optimizer import learning_rate, make_optimizer
from micron_jax.training.sharding import batch_sharding, state_shardings
from micron_jax.training.state import TrainState, init_params, new_state
from micron_jax.training.steps import Objective, TrainStep

PREVIEW_PAIRS = 4
_VALIDATED = ("loss", "reconstruction", "agreement", "displacement")


@dataclasses.dataclass(frozen=True)
class TrainFunctions:
    """Functions on a mesh, jitted with their shardings; none has run yet.

    A `batch` holds frames `cur` and `ref`, uint8 [B, H, W, 3], and for a displacement branch pairs
    with known motion, see `synthetic.known_pairs`.

    Attributes:
      state: the `TrainState` as `ShapeDtypeStruct`s with shardings.
      batch_sharding: of a batch of frames, which is spread along its first axis.
      init: () -> the state before the first step.
      train: (state, batch) -> (state, metrics); the state is donated. Views are drawn from
        (seed, state.step).
      validate: (state, number, batch) -> losses of batch `number` of held-out clips; its views
        are drawn from (seed, number) and stay the same throughout the run.
      preview: (params, batch) -> images of the first pairs, for `pictures.draw_pairs`.
    """

    state: TrainState
    batch_sharding: NamedSharding
    init: Callable
    train: Callable
    validate: Callable
    preview: Callable
    learning_rate: optax.Schedule


def jit_functions(
    config: PretrainConfig, mesh: Mesh, *, steps_per_epoch: int, total_steps: int
) -> TrainFunctions:
    """The functions of a pretraining on a mesh, whose devices need not be of this machine.

    Raises:
      UserError: batch or parameters do not divide over the mesh.
    """
    samples, rest = divmod(config.batch_size, mesh.size)
    mend = f"does not divide over {mesh.size} devices"
    require(not rest, "config", config, "batch_size", mend)
    mend = f"does not divide the {samples} samples of a device"
    require(samples % config.accumulate == 0, "config", config, "accumulate", mend)
    schedule = learning_rate(
        config.optimizer,
        batch_size=config.batch_size,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    step = TrainStep(
        Objective(config.model, config.objective),
        make_optimizer(config.optimizer, schedule),
        steps_per_epoch,
        total_steps,
        config.accumulate,
        sequential=mesh.size == 1,
    )
    pure = _PureFunctions(config, step, *jax.random.split(jax.random.key(config.seed)))
    shapes = jax.eval_shape(pure.init)
    states = state_shardings(mesh, shapes)
    batches, everywhere = batch_sharding(mesh), NamedSharding(mesh, P())

    def on_mesh(function: Callable) -> Callable:
        @functools.wraps(function)
        def traced(*arguments):
            with tpu.spread_over(mesh):
                return function(*arguments)

        return traced

    return TrainFunctions(
        state=jax.tree.map(lambda shape, to: shape.update(sharding=to), shapes, states),
        batch_sharding=batches,
        init=jax.jit(pure.init, out_shardings=states),
        train=jax.jit(
            on_mesh(pure.train),
            in_shardings=(states, batches),
            out_shardings=(states, everywhere),
            donate_argnums=0,
        ),
        validate=jax.jit(
            on_mesh(pure.validate),
            in_shardings=(states, everywhere, batches),
            out_shardings=everywhere,
        ),
        preview=jax.jit(
            on_mesh(pure.preview),
            in_shardings=(states.params, batches),
            out_shardings=everywhere,
        ),
        learning_rate=schedule,
    )


def batch_shapes(config: PretrainConfig) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a batch for `TrainFunctions`, with frames at the network's size."""
    side, grid = config.model.img_size, SIZE // config.model.patch_size

    def shape(dtype, *axes):
        return jax.ShapeDtypeStruct((config.batch_size, *axes), dtype)

    batch = {name: shape(jnp.uint8, side, side, 3) for name in ("cur", "ref")}
    if config.model.displacement_width:
        batch |= {name: shape(jnp.uint8, 2, SIZE, SIZE, 3) for name in ("reference", "moved")}
        vectors = ("displacement", "motion")
        batch |= {name: shape(jnp.float32, 2, grid, grid, 2) for name in vectors}
    return batch


@dataclasses.dataclass(frozen=True, eq=False)
class _PureFunctions:
    """The functions of `TrainFunctions`, not yet jitted."""

    config: PretrainConfig
    step: TrainStep
    init_key: jax.Array
    views_key: jax.Array

    def _views(self, key: jax.Array, batch: dict) -> dict:
        config, model = self.config.views, self.config.model
        sizes = dict(img_size=model.img_size, patch_size=model.patch_size)
        return make_views(key, batch["cur"], batch["ref"], config=config, **sizes)

    def init(self):
        params = init_params(self.config.model, self.init_key)
        dino = self.config.objective.agreement == "dino"
        return new_state(params, self.step.optimizer, dino=dino)

    def train(self, state, batch):
        views = self._views(jax.random.fold_in(self.views_key, state.step), batch)
        return self.step(state, views | known_pairs(batch))

    def validate(self, state, number, batch):
        key = jax.random.fold_in(self.views_key, 2**32 - 1)  # no step has it
        views = self._views(jax.random.fold_in(key, number), batch) | known_pairs(batch)
        _, parts = self.step.objective.loss(
            state.params, state.teacher, state.center, views, self.step.teacher_temperature(state)
        )
        return {name: parts[name] for name in _VALIDATED if name in parts}

    def preview(self, params, batch):
        views = self._views(self.views_key, jax.tree.map(lambda x: x[:PREVIEW_PAIRS], batch))
        model = self.config.model
        network = bound(model, params)
        rep, ref_, cur_ = (network.encode(views[name]) for name in ("rep", "ref", "cur"))
        pred = network.decode(network.attend(rep, ref_))
        if self.config.objective.norm_pix:
            pred = restore_patches(pred, views["cur"], patch_size=model.patch_size)
        pred = unpatchify(pred, model.patch_size, (model.grid, model.grid))
        motion_map = network.motion_map(cur_, ref_, "symmetric").reshape(-1, model.grid, model.grid)
        images = {name: denormalize(views[name]) for name in ("cur", "ref", "rep")}
        return images | {"pred": denormalize(pred), "map": motion_map}

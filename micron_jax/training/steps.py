"""One pure train step: losses, gradients, optimizer, moving average, centre."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.training import losses
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.state import TrainState


def make_loss(model: ModelConfig, objective: ObjectiveConfig) -> Callable:
    """The objective as a pure function.

    Returns:
      loss(params, teacher, center, views, teacher_temperature) -> (total, parts). `views` holds
      float images: `rep`, `ref`, `cur` [B, H, W, 3], and for the agreement `global` [B, 2, H, W, 3]
      and `local` [B, V, h, w, 3] as it needs them, and for the motion what `make_views` says.
      `parts` holds the scalars `loss`,
      `reconstruction`, `agreement` and `feature_spread` (see `losses`), and with DINO the scalar
      `teacher_entropy` and `teacher_out` [B, 2, K].
    """
    module = MicronBertModule(model)

    def encode(params, views):
        """[B, V, h, w, 3] -> [B, V, 1 + N, D], all views of a size in one pass."""
        # Views lie behind the batch axis: merging the two moves no sample to another device.
        batch, count = views.shape[:2]
        flat = views.reshape(batch * count, *views.shape[2:])
        tokens = module.apply({"params": params}, flat, method="encode")
        return tokens.reshape(batch, count, *tokens.shape[1:])

    def project(params, cls):
        return module.apply({"params": params}, cls, method="project_cls")

    def loss(params, teacher, center, views, teacher_temperature):
        whole = jnp.stack([views["rep"], views["ref"]], axis=1)
        if objective.agreement == "dino":
            whole = jnp.concatenate([whole, views["global"]], axis=1)
        tokens = encode(params, whole)
        rep_tokens, ref_tokens = tokens[:, 0], tokens[:, 1]
        latent = module.apply({"params": params}, rep_tokens, ref_tokens, method="attend")
        predicted = module.apply({"params": params}, latent, method="decode")
        reconstruction = losses.reconstruction_loss(
            predicted, views["cur"], patch_size=model.patch_size, norm_pix=objective.norm_pix
        )
        parts = {
            "reconstruction": reconstruction,
            "agreement": jnp.zeros(()),
        }
        if objective.agreement != "none":
            parts["feature_spread"] = losses.feature_spread(ref_tokens[:, 0])
        if objective.agreement == "mse":
            crop_cls = encode(params, views["local"])[:, :, 0]
            parts["agreement"] = losses.mse_agreement(ref_tokens[:, 0], crop_cls)
        if objective.agreement == "dino":
            parts["teacher_out"] = project(teacher, encode(teacher, views["global"])[:, :, 0])
            cls = [tokens[:, 2:, 0]]
            if "local" in views:
                cls.append(encode(params, views["local"])[:, :, 0])
            parts["agreement"] = losses.dino_agreement(
                project(params, jnp.concatenate(cls, axis=1)),
                parts["teacher_out"],
                center,
                student_temperature=objective.student_temperature,
                teacher_temperature=teacher_temperature,
            )
            parts["teacher_entropy"] = losses.teacher_entropy(
                parts["teacher_out"], center, temperature=teacher_temperature
            )
        parts["loss"] = (
            objective.reconstruction_weight * reconstruction
            + objective.agreement_weight * parts["agreement"]
        )
        if objective.motion_weight:
            after, before, displacement = (
                x.reshape(-1, *x.shape[2:])
                for x in (views["after"], views["before"], views["displacement"])
            )
            found = module.apply({"params": params}, after, before, method="moved")
            parts["motion"] = losses.motion_loss(*found, displacement)
            parts["loss"] += objective.motion_weight * parts["motion"]
        return parts["loss"], parts

    return loss


def make_gradients(
    model: ModelConfig, objective: ObjectiveConfig, *, steps_per_epoch: int, accumulate: int = 1
) -> Callable:
    """gradients(state, views) -> (grads of the params, parts), see `make_loss`.

    With `accumulate` > 1 the batch goes through in as many parts, one after another: the memory of
    one part, and the same mean gradient up to rounding, as no loss compares samples with each
    other and the centre waits for the whole batch.
    """
    grad = jax.grad(make_loss(model, objective), has_aux=True)

    def gradients(state: TrainState, views: dict) -> tuple[dict, dict]:
        temperature = losses.teacher_temperature(objective, state.step // steps_per_epoch)

        def of(views):
            return grad(state.params, state.teacher, state.center, views, temperature)

        if accumulate == 1:
            return of(views)
        # Part i takes rows i, i + accumulate, …: a share of those that each device holds.
        parted = jax.tree.map(
            lambda x: jnp.swapaxes(x.reshape(-1, accumulate, *x.shape[1:]), 0, 1), views
        )

        def add(total, part):
            grads, parts = of(part)
            return jax.tree.map(jnp.add, total, grads), parts

        nothing = jax.tree.map(jnp.zeros_like, state.params)
        total, parts = jax.lax.scan(add, nothing, parted)
        teacher_out = {k: jnp.concatenate(v) for k, v in parts.items() if k == "teacher_out"}
        scalars = {k: v.mean() for k, v in parts.items() if k != "teacher_out"}
        return jax.tree.map(lambda g: g / accumulate, total), scalars | teacher_out

    return gradients


def make_update(
    objective: ObjectiveConfig, optimizer: optax.GradientTransformation, *, total_steps: int
) -> Callable:
    """What follows the gradients, in the release's order.

    The centre is updated after it is used; the teacher's average is taken after the optimizer's
    update and covers frozen parameters too.

    Returns:
      update(state, grads, parts) -> state, with `parts` from `make_loss`.
    """

    def update(state: TrainState, grads: dict, parts: dict) -> TrainState:
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        teacher, center = state.teacher, state.center
        if objective.agreement == "dino":
            center = losses.update_center(
                center, parts["teacher_out"], momentum=objective.center_momentum
            )
            momentum = losses.teacher_momentum(objective, state.step, total_steps)
            teacher = jax.tree.map(
                lambda old, new: momentum * old + (1 - momentum) * new,
                teacher,
                {part: params[part] for part in teacher},
            )
        return TrainState(state.step + 1, params, teacher, center, opt_state)

    return update


def make_step(
    model: ModelConfig,
    objective: ObjectiveConfig,
    optimizer: optax.GradientTransformation,
    *,
    steps_per_epoch: int,
    total_steps: int,
    accumulate: int = 1,
) -> Callable:
    """The train step as a pure function of the state and the views.

    Returns:
      step(state, views) -> (state, metrics), metrics a dict of float32 scalars: those of
      `make_loss`, and the norms of the gradient and of the change of the parameters.
    """
    gradients = make_gradients(
        model, objective, steps_per_epoch=steps_per_epoch, accumulate=accumulate
    )
    update = make_update(objective, optimizer, total_steps=total_steps)

    def step(state: TrainState, views: dict) -> tuple[TrainState, dict]:
        grads, parts = gradients(state, views)
        metrics = {name: value for name, value in parts.items() if name != "teacher_out"}
        after = update(state, grads, parts)
        change = jax.tree.map(jnp.subtract, after.params, state.params)
        norms = {"grad_norm": optax.global_norm(grads), "update_norm": optax.global_norm(change)}
        return after, metrics | norms

    return step

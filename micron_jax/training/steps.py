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
      and `local` [B, V, h, w, 3] as it needs them. `parts` holds the scalars `loss`,
      `reconstruction` and `agreement`, and `teacher_out` [B, 2, K] with DINO.
    """
    module = MicronBertModule(model)

    def project(params, crops):
        # Views lie behind the batch axis: merging the two moves no sample to another device.
        batch, views = crops.shape[:2]
        flat = crops.reshape(batch * views, *crops.shape[2:])
        out = module.apply({"params": params}, flat, method="project")
        return out.reshape(batch, views, -1)

    def encode(params, images):
        return module.apply({"params": params}, images, method="encode")

    def loss(params, teacher, center, views, teacher_temperature):
        rep_tokens, ref_tokens = encode(params, views["rep"]), encode(params, views["ref"])
        latent = module.apply({"params": params}, rep_tokens, ref_tokens, method="attend")
        predicted = module.apply({"params": params}, latent, method="decode")
        reconstruction = losses.reconstruction_loss(
            predicted, views["cur"], patch_size=model.patch_size, norm_pix=objective.norm_pix
        )
        parts = {"reconstruction": reconstruction, "agreement": jnp.zeros(())}
        if objective.agreement == "mse":
            crops = views["local"]
            batch, count = crops.shape[:2]
            crop_tokens = encode(params, crops.reshape(batch * count, *crops.shape[2:]))
            crop_cls = crop_tokens[:, 0].reshape(batch, count, -1)
            parts["agreement"] = losses.mse_agreement(ref_tokens[:, 0], crop_cls)
        if objective.agreement == "dino":
            parts["teacher_out"] = project(teacher, views["global"])
            student = [project(params, views["global"]), project(params, views["local"])]
            parts["agreement"] = losses.dino_agreement(
                jnp.concatenate(student, axis=1),
                parts["teacher_out"],
                center,
                student_temperature=objective.student_temperature,
                teacher_temperature=teacher_temperature,
            )
        parts["loss"] = (
            objective.reconstruction_weight * reconstruction
            + objective.agreement_weight * parts["agreement"]
        )
        return parts["loss"], parts

    return loss


def make_gradients(
    model: ModelConfig, objective: ObjectiveConfig, *, steps_per_epoch: int
) -> Callable:
    """gradients(state, views) -> (grads of the params, parts), see `make_loss`."""
    loss = make_loss(model, objective)

    def gradients(state: TrainState, views: dict) -> tuple[dict, dict]:
        temperature = losses.teacher_temperature(objective, state.step // steps_per_epoch)
        grad = jax.grad(loss, has_aux=True)
        return grad(state.params, state.teacher, state.center, views, temperature)

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
) -> Callable:
    """The train step as a pure function of the state and the views.

    Returns:
      step(state, views) -> (state, metrics), metrics a dict of float32 scalars.
    """
    gradients = make_gradients(model, objective, steps_per_epoch=steps_per_epoch)
    update = make_update(objective, optimizer, total_steps=total_steps)

    def step(state: TrainState, views: dict) -> tuple[TrainState, dict]:
        grads, parts = gradients(state, views)
        metrics = {name: parts[name] for name in ("loss", "reconstruction", "agreement")}
        return update(state, grads, parts), metrics | {"grad_norm": optax.global_norm(grads)}

    return step

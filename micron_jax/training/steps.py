"""One pure train step: losses, gradients, optimizer, moving average, center."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import optax

from micron_jax.models.config import ModelConfig
from micron_jax.models.cpu import after
from micron_jax.models.micron_bert import bound
from micron_jax.training import losses
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.state import TrainState


def make_terms(model: ModelConfig, objective: ObjectiveConfig) -> tuple[Callable, ...]:
    """The objective's terms as pure functions, whose sum is the loss; none needs another.

    Returns:
      Each term(params, teacher, center, views, teacher_temperature) -> (its share of the loss,
      parts), see `make_loss`.
    """

    def encode(params, views, whole=0):
        """All views of a size in one pass; see `Encoder.views`."""
        return bound(model, params).encode_views(views, whole)

    def project(params, cls):
        return bound(model, params).project_cls(cls)

    def of_frames(params, teacher, center, views, teacher_temperature):
        """Reconstruction, and the paper's agreement, which takes a token of the same pass."""
        tokens, cls = encode(params, jnp.stack([views["rep"], views["ref"]], axis=1), 2)
        network = bound(model, params)
        predicted = network.decode(network.attend(tokens[:, 0], tokens[:, 1]))
        reconstruction = losses.reconstruction_loss(
            predicted, views["cur"], patch_size=model.patch_size, norm_pix=objective.norm_pix
        )
        parts = {"reconstruction": reconstruction, "agreement": jnp.zeros(())}
        total = objective.reconstruction_weight * reconstruction
        if objective.agreement != "none":
            parts["feature_spread"] = losses.feature_spread(cls[:, 1])
        if objective.agreement == "mse":
            _, crop_cls = encode(params, views["local"])
            parts["agreement"] = losses.mse_agreement(cls[:, 1], crop_cls)
            total += objective.agreement_weight * parts["agreement"]
        return total, parts

    def of_crops(params, teacher, center, views, teacher_temperature):
        """The release's agreement."""
        kinds = [views[kind] for kind in ("global", "local") if kind in views]
        student = jnp.concatenate([encode(params, crops)[1] for crops in kinds], axis=1)
        teacher_out = project(teacher, encode(teacher, views["global"])[1])
        agreement = losses.dino_agreement(
            project(params, student),
            teacher_out,
            center,
            student_temperature=objective.student_temperature,
            teacher_temperature=teacher_temperature,
        )
        entropy = losses.teacher_entropy(teacher_out, center, temperature=teacher_temperature)
        parts = {"agreement": agreement, "teacher_entropy": entropy, "teacher_out": teacher_out}
        return objective.agreement_weight * agreement, parts

    def of_motion(params, teacher, center, views, teacher_temperature):
        """Known motion; ours."""
        images, reference, displacement = (
            views[name].reshape(-1, *views[name].shape[2:])
            for name in ("after", "before", "displacement")
        )
        motion = losses.motion_loss(
            *bound(model, params).find_motion(images, reference), displacement
        )
        return objective.motion_weight * motion, {"motion": motion}

    terms = [of_frames]
    if objective.agreement == "dino":
        terms.append(of_crops)
    if objective.motion_weight:
        terms.append(of_motion)
    return tuple(terms)


def make_loss(model: ModelConfig, objective: ObjectiveConfig) -> Callable:
    """The objective as a pure function.

    Returns:
      loss(params, teacher, center, views, teacher_temperature) -> (total, parts). `views` holds
      float images: `rep`, `ref`, `cur` [B, H, W, 3], and for the agreement `global` [B, 2, H, W, 3]
      and `local` [B, V, h, w, 3] as it needs them, and for the motion what `make_views` says.
      `parts` holds the scalars `loss`, `reconstruction`, `agreement` (0 without one) and, as they
      apply, `feature_spread`, `motion` and `teacher_entropy` (see `losses`), and with DINO
      `teacher_out` [B, 2, K].
    """
    terms = make_terms(model, objective)

    def loss(*arguments):
        total, parts = _sum(term(*arguments) for term in terms)
        return total, parts | {"loss": total}

    return loss


def _sum(shares: Iterable[tuple]) -> tuple:
    """Numbers, or trees of them, added up, and their dicts put together."""
    numbers, parts = zip(*shares, strict=True)
    return jax.tree.map(lambda *x: sum(x[1:], x[0]), *numbers), dict(
        item for part in parts for item in part.items()
    )


def make_gradients(
    model: ModelConfig,
    objective: ObjectiveConfig,
    *,
    steps_per_epoch: int,
    accumulate: int = 1,
    in_turn: bool = False,
) -> Callable:
    """gradients(state, views) -> (grads of the params, parts), see `make_loss`.

    With `accumulate` > 1 the batch goes through in as many parts, one after another: the memory of
    one part, and the same mean gradient up to rounding, as no loss compares samples with each
    other and the center waits for the whole batch.

    With `in_turn` a term of the objective waits for the gradients of the one before, so that what
    is kept for them need not be there at once. It takes all gradients to one device.
    """
    grads_of = [jax.value_and_grad(term, has_aux=True) for term in make_terms(model, objective)]

    def grad(params, teacher, center, views, temperature):
        shares = []
        for term in grads_of:
            if in_turn and shares:
                views = after(views, shares[-1][0])
            (total, parts), grads = term(params, teacher, center, views, temperature)
            shares.append(((total, grads), parts))
        (total, grads), parts = _sum(shares)
        return grads, parts | {"loss": total}

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

    The center is updated after it is used; the teacher's average is taken after the optimizer's
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
    in_turn: bool = False,
) -> Callable:
    """The train step as a pure function of the state and the views.

    Returns:
      step(state, views) -> (state, metrics), metrics a dict of float32 scalars: those of
      `make_loss`, and the norms of the gradient and of the change of the parameters.
    """
    gradients = make_gradients(
        model,
        objective,
        steps_per_epoch=steps_per_epoch,
        accumulate=accumulate,
        in_turn=in_turn,
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

"""The train step as pure functions: objective, gradients, optimizer, moving average, center."""

import dataclasses
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

_OF_SAMPLES = ("cls", "teacher_out")  # parts that are arrays over the samples, no means of them


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of a pretraining, a sum of terms none of which needs another.

    Each of the `terms`(params, teacher, center, views, teacher_temperature) returns (its share of
    the loss, parts), see `loss`.
    """

    model: ModelConfig
    config: ObjectiveConfig

    @property
    def terms(self) -> list[Callable]:
        terms = [self.frames_term]
        if self.config.agreement == "dino":
            terms.append(self.crops_term)
        if self.config.displacement_weight:
            terms.append(self.displacement_term)
        return terms

    def loss(self, params, teacher, center, views, teacher_temperature) -> tuple:
        """Returns (total, parts).

        Args:
          params, teacher, center: of the `TrainState`.
          views: float images: `rep`, `ref`, `cur` [B, H, W, 3]; as the agreement needs them
            `global` [B, 2, H, W, 3] and `local` [B, V, h, w, 3]; for motion see `make_views`.

        Returns:
          The scalar loss, and parts: the scalars `loss`, `reconstruction`, `agreement` (0 without
          one) and, as they apply, `motion` and `teacher_entropy` (see `losses`), each of them a
          mean over the samples; with an agreement `cls` [B, D], and with DINO `teacher_out`
          [B, 2, K], for what only all samples of a batch together tell.
        """
        arguments = params, teacher, center, views, teacher_temperature
        total, parts = _sum(term(*arguments) for term in self.terms)
        return total, parts | {"loss": total}

    def frames_term(self, params, teacher, center, views, teacher_temperature):
        """Reconstruction, and the paper's agreement, which takes a token of the same pass."""
        network, config = bound(self.model, params), self.config
        frames = jnp.stack([views["rep"], views["ref"]], axis=1)
        tokens, cls = network.encode_views(frames, 2)
        predicted = network.decode(network.attend(tokens[:, 0], tokens[:, 1]))
        reconstruction = losses.reconstruction_loss(
            predicted, views["cur"], patch_size=self.model.patch_size, norm_pix=config.norm_pix
        )
        parts = {"reconstruction": reconstruction, "agreement": jnp.zeros(())}
        total = config.reconstruction_weight * reconstruction
        if config.agreement != "none":
            parts["cls"] = cls[:, 1]
        if config.agreement == "mse":
            _, crop_cls = network.encode_views(views["local"], 0)
            parts["agreement"] = losses.mse_agreement(cls[:, 1], crop_cls)
            total += config.agreement_weight * parts["agreement"]
        return total, parts

    def crops_term(self, params, teacher, center, views, teacher_temperature):
        """The release's agreement."""
        network, teacher = bound(self.model, params), bound(self.model, teacher)
        crops = [views[kind] for kind in ("global", "local") if kind in views]
        cls = jnp.concatenate([network.encode_views(x, 0)[1] for x in crops], axis=1)
        teacher_out = teacher.head(teacher.encode_views(views["global"], 0)[1])
        agreement = losses.dino_agreement(
            network.head(cls),
            teacher_out,
            center,
            student_temperature=self.config.student_temperature,
            teacher_temperature=teacher_temperature,
        )
        entropy = losses.teacher_entropy(teacher_out, center, temperature=teacher_temperature)
        parts = {"agreement": agreement, "teacher_entropy": entropy, "teacher_out": teacher_out}
        return self.config.agreement_weight * agreement, parts

    def displacement_term(self, params, teacher, center, views, teacher_temperature):
        """Known motion by the displacement branch; ours."""
        # First pairs, then second ones.
        pairs = {
            name: jnp.concatenate([views[f"known_{name}"][:, i] for i in (0, 1)])
            for name in ("reference", "moved", "displacement", "motion")
        }
        estimate = bound(self.model, params).displacement(pairs["moved"], pairs["reference"])
        loss, error = losses.displacement_loss(estimate, pairs["displacement"], pairs["motion"])
        return self.config.displacement_weight * loss, {"displacement": loss, "epe": error}


def _sum(shares: Iterable[tuple]) -> tuple:
    """Numbers, or trees of them, added up, and their dicts merged."""
    numbers, parts = zip(*shares, strict=True)
    merged = {name: value for part in parts for name, value in part.items()}
    return jax.tree.map(lambda *x: sum(x[1:], x[0]), *numbers), merged


@dataclasses.dataclass(frozen=True, eq=False)
class TrainStep:
    """A train step, a pure function of the state and the views.

    Attributes:
      steps_per_epoch, total_steps: units of the objective's schedules.
      accumulate: parts of the batch that are computed one after another: with the memory of one
        part the same mean gradient up to rounding, as no loss compares samples with each other and
        the center waits for the whole batch.
      sequential: each term of the objective waits for the gradients of the one before, so that
        their intermediate values share memory. All gradients pass through one device.
    """

    objective: Objective
    optimizer: optax.GradientTransformation
    steps_per_epoch: int
    total_steps: int
    accumulate: int = 1
    sequential: bool = False

    def __call__(self, state: TrainState, views: dict) -> tuple[TrainState, dict]:
        """Returns (state, metrics), all of the whole batch, in however many parts it is computed.

        The metrics are the scalars of `Objective.loss`, `grad_norm`, `update_norm` and, with an
        agreement and more than one sample, `losses.feature_spread`.
        """
        grads, parts = self.gradients(state, views)
        metrics = {name: value for name, value in parts.items() if name not in _OF_SAMPLES}
        if "cls" in parts and parts["cls"].size > parts["cls"].shape[-1]:
            metrics["feature_spread"] = losses.feature_spread(parts["cls"])
        new = self.update(state, grads, parts)
        change = jax.tree.map(jnp.subtract, new.params, state.params)
        norms = {"grad_norm": optax.global_norm(grads), "update_norm": optax.global_norm(change)}
        return new, metrics | norms

    def teacher_temperature(self, state: TrainState) -> jax.Array:
        epoch = state.step // self.steps_per_epoch
        return losses.teacher_temperature(self.objective.config, epoch)

    def gradients(self, state: TrainState, views: dict) -> tuple[dict, dict]:
        """Returns (gradients of the params, parts), see `Objective.loss`.

        Of a batch that is computed in parts, arrays over the samples have one more axis in front.
        """
        temperature = self.teacher_temperature(state)
        if self.accumulate == 1:
            return self._gradients(state, views, temperature)
        # Part i takes rows i, i + accumulate, …: a share of those that each device holds.
        stacked = jax.tree.map(
            lambda x: jnp.swapaxes(x.reshape(-1, self.accumulate, *x.shape[1:]), 0, 1), views
        )

        def add(total, part):
            grads, parts = self._gradients(state, part, temperature)
            return jax.tree.map(jnp.add, total, grads), parts

        zeros = jax.tree.map(jnp.zeros_like, state.params)
        total, parts = jax.lax.scan(add, zeros, stacked)
        parts = {n: part if n in _OF_SAMPLES else part.mean() for n, part in parts.items()}
        return jax.tree.map(lambda g: g / self.accumulate, total), parts

    def _gradients(self, state: TrainState, views: dict, temperature) -> tuple[dict, dict]:
        shares = []
        for term in self.objective.terms:
            if self.sequential and shares:
                views = after(views, shares[-1][0])
            (total, parts), grads = jax.value_and_grad(term, has_aux=True)(
                state.params, state.teacher, state.center, views, temperature
            )
            shares.append(((total, grads), parts))
        (total, grads), parts = _sum(shares)
        return grads, parts | {"loss": total}

    def update(self, state: TrainState, grads: dict, parts: dict) -> TrainState:
        """Returns the state after a step, updated in the release's order.

        The center changes after it was used; the teacher's average follows the optimizer's update
        and covers frozen parameters too. `parts` are those of `Objective.loss`.
        """
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        teacher, center, config = state.teacher, state.center, self.objective.config
        if config.agreement == "dino":
            center = losses.update_center(
                center, parts["teacher_out"], momentum=config.center_momentum
            )
            momentum = losses.teacher_momentum(config, state.step, self.total_steps)
            teacher = losses.update_teacher(teacher, params, momentum=momentum)
        return TrainState(state.step + 1, params, teacher, center, opt_state)

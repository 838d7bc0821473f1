"""Training of folds side by side: the functions of one fold, mapped over an axis of folds.

Folds, each under its seed, differ in numbers alone: the samples that they draw, the statistics of
these, the classes' weights, the random key. So `jax.vmap` over them trains each as if by itself. A
fold draws from its own key, and depends neither on the folds beside it nor on samples that it does
not learn from.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import optax

from micron_jax.data.views import normalize
from micron_jax.finetuning.augment import AugmentConfig, augment_pairs
from micron_jax.finetuning.fold_arrays import FoldArrays, SharedArrays
from micron_jax.finetuning.folds import Fold
from micron_jax.finetuning.losses import class_loss, mixup, unit_loss
from micron_jax.finetuning.optimizer import (
    TuningConfig,
    join_params,
    make_optimizer,
    rate_rules,
    split_params,
)
from micron_jax.models.classifier import ClassifierConfig, Head, PairFeatures
from micron_jax.models.config import ModelConfig


@flax.struct.dataclass
class FoldState:
    """State of a fold; `best` and `best_loss` change with inner validation only."""

    params: dict
    opt_state: optax.OptState
    best: dict
    best_loss: jax.Array


class FoldFunctions(NamedTuple):
    """Compiled `init`, `epoch` and `predict` of `FoldTraining`."""

    init: Callable
    epoch: Callable
    predict: Callable


@dataclasses.dataclass(frozen=True)
class FoldTraining:
    """Training of one fold: its settings, and functions of arrays.

    Attributes:
      inner: return the epoch that is best on the validation samples, not the last.
      watch_test: predict the test samples after each epoch, for the leaky figures alone.
      units: the classes are action units, any number of which a sample shows.
    """

    model: ModelConfig
    classifier: ClassifierConfig
    tuning: TuningConfig
    augment: AugmentConfig
    classes: int
    steps_per_epoch: int
    inner: bool = False
    watch_test: bool = False
    units: bool = False

    @property
    def frozen(self) -> bool:
        """True if the backbone stays as it is, so that samples are features."""
        return self.tuning.trainable == "head"

    @functools.cached_property
    def rules(self) -> list[tuple[str, float]]:
        return rate_rules(self.tuning, self.model.depth, self.classifier.reads)

    @functools.cached_property
    def optimizer(self) -> optax.GradientTransformation:
        return make_optimizer(self.tuning, self.rules, steps_per_epoch=self.steps_per_epoch)

    @property
    def head(self) -> Head:
        return Head(self.classes, self.classifier)

    def side_by_side(self) -> FoldFunctions:
        """Maps the functions over folds [R] and compiles them; an epoch's state is donated.

        Where the folds are spread over devices, so are the results.
        """
        return FoldFunctions(
            init=jax.jit(jax.vmap(self.init, (0, None))),
            epoch=jax.jit(jax.vmap(self.epoch, (0, None, 0, None)), donate_argnums=0),
            predict=jax.jit(jax.vmap(self.predict, (0, 0, None))),
        )

    def init(self, fold: FoldArrays, shared: SharedArrays) -> FoldState:
        """Returns the state before the first epoch."""
        tokens = shared.samples["features"].shape[2] if self.frozen else 1
        example = jnp.zeros((1, tokens, *fold.mean.shape[-1:]))
        # Epochs fold their numbers, from 0 up, into the fold's key: this number is none of them.
        key = jax.random.fold_in(fold.key, self.tuning.epochs)
        head = self.head.init(key, example, deterministic=True)["params"]
        params, _ = split_params({"backbone": shared.backbone, "head": head}, self.rules)
        return FoldState(params, self.optimizer.init(params), params, jnp.float32(jnp.inf))

    def epoch(
        self, state: FoldState, number, fold: FoldArrays, shared: SharedArrays
    ) -> tuple[FoldState, dict[str, Any]]:
        """Trains for one epoch; -> the state, and curves with "test" [n, C] where it is watched."""
        order_key, step_key = jax.random.split(jax.random.fold_in(fold.key, number))
        order = self._order(order_key, fold)

        def step(carry, number):
            params, opt_state = carry
            # A last batch that is not full goes on with the epoch's first samples.
            place = number * self.tuning.batch_size + jnp.arange(self.tuning.batch_size)
            index = order[place % fold.train_count]
            key = jax.random.fold_in(step_key, number)
            loss = jax.value_and_grad(self._loss, has_aux=True)
            metrics, grads = loss(params, key, index, fold, shared)
            updates, opt_state = self.optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), metrics

        carry = state.params, state.opt_state
        carry, (losses, hits) = jax.lax.scan(step, carry, jnp.arange(self.steps_per_epoch))
        state = state.replace(params=carry[0], opt_state=carry[1])
        metrics = {"train_loss": losses.mean(), "train_accuracy": hits.mean()}
        if self.inner:
            loss = self._validation_loss(state.params, fold, shared)
            state = _with_best(state, loss)
            metrics["validation_loss"] = loss
        if self.watch_test:
            params = self._join(state.params, shared)
            metrics["test"] = self._probabilities(params, fold, shared, fold.test)
        return state, metrics

    def predict(self, state: FoldState, fold: FoldArrays, shared: SharedArrays):
        """Returns the probabilities of the fold's test list, float32 [n, C], padding included."""
        return self._probabilities(self.result(state, shared), fold, shared, fold.test)

    def result(self, state: FoldState, shared: SharedArrays) -> dict:
        """Returns {"head", "backbone"}, the parameters of the classifier that a fold ends with."""
        return self._join(state.best if self.inner else state.params, shared)

    def _join(self, params: dict, shared: SharedArrays) -> dict:
        """Nested parameters: those that learn, and the rest of the backbone."""
        _, rest = split_params({"backbone": shared.backbone}, self.rules)
        return join_params(rest, params)

    def _order(self, key, fold: FoldArrays):
        """The training samples in random order, the padding after them."""
        length = fold.train.shape[0]
        is_sample = jnp.arange(length) < fold.train_count
        rank = jnp.where(is_sample, jax.random.uniform(key, (length,)), 2.0)
        return fold.train[jnp.argsort(rank)]

    def _inputs(self, params: dict, fold: FoldArrays, shared: SharedArrays, index, *, key=None):
        """The head's inputs for some samples, [B, T, F]: standardized; augmented with a key."""
        samples = shared.samples
        if self.frozen:
            versions = samples["features"].shape[1]
            version = jax.random.randint(key, index.shape, 0, versions) if key is not None else 0
            features = samples["features"][index, version]
        else:
            onset, apex = samples["onset"][index], samples["apex"][index]
            if key is not None:
                onset, apex = augment_pairs(key, onset, apex, self.augment)
            network = PairFeatures(self.model, self.classifier)
            bound = network.bind({"params": {"backbone": params["backbone"]}})
            features = bound(normalize(onset), normalize(apex))
        return (features - fold.mean) / fold.deviation

    def _loss(self, params: dict, key, index, fold: FoldArrays, shared: SharedArrays):
        """The loss of a batch, and its share of correct predictions."""
        view_key, mix_key, drop_key = jax.random.split(key, 3)
        params = self._join(params, shared)
        x = self._inputs(params, fold, shared, index, key=view_key)
        labels, smooth = shared.labels[index], self.tuning.label_smoothing
        if self.units:
            targets = labels * (1 - smooth) + smooth / 2
        else:
            targets = jax.nn.one_hot(labels, self.classes) * (1 - smooth) + smooth / self.classes
        x, targets = mixup(mix_key, x, targets, self.tuning.mixup)
        bound = self.head.bind({"params": params["head"]}, rngs={"dropout": drop_key})
        logits = bound(x, deterministic=False)
        kind = unit_loss if self.units else class_loss
        loss = kind(logits, targets, fold.weights, focal=self.tuning.focal).mean()
        hits = (logits > 0) == (labels > 0.5) if self.units else logits.argmax(-1) == labels
        return loss, jnp.mean(hits)

    def _probabilities(self, params: dict, fold: FoldArrays, shared: SharedArrays, indices):
        """Probabilities of the classes for samples [n]: [n, C]."""
        head = self.head.bind({"params": params["head"]})

        def one(index):
            x = self._inputs(params, fold, shared, index[None])
            logits = head(x, deterministic=True)[0]
            return jax.nn.sigmoid(logits) if self.units else jax.nn.softmax(logits)

        return jax.lax.map(one, indices, batch_size=min(self.tuning.batch_size, len(indices)))

    def _validation_loss(self, params: dict, fold: FoldArrays, shared: SharedArrays):
        params = self._join(params, shared)
        p = self._probabilities(params, fold, shared, fold.validation)
        labels = shared.labels[fold.validation]
        is_sample = jnp.arange(len(labels)) < fold.validation_count
        if self.units:
            p = jnp.clip(p, 1e-6, 1 - 1e-6)
            losses = unit_loss(jnp.log(p) - jnp.log1p(-p), labels, fold.weights)
            return jnp.where(is_sample, losses, 0.0).sum() / fold.validation_count
        losses = -jnp.log(jnp.take_along_axis(p, labels[:, None], 1)[:, 0] + 1e-9)
        weights = jnp.where(is_sample, fold.weights[labels], 0.0)
        return jnp.sum(losses * weights) / weights.sum()


def steps_per_epoch(folds: Sequence[Fold], batch_size: int) -> int:
    """Returns the steps in which the fold with most training samples draws each of them once."""
    return -(-max(len(fold.train) for fold in folds) // batch_size)


def _with_best(state: FoldState, loss) -> FoldState:
    """The state with its parameters as the best ones, if their loss is the lowest so far."""
    better = loss < state.best_loss
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.params, state.best)
    return state.replace(best=best, best_loss=jnp.minimum(loss, state.best_loss))

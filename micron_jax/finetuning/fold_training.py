"""Folds side by side: one compiled program trains all of them, mapped over an axis of folds.

A *run* is one fold under one seed. Runs differ in numbers alone: which samples they may draw, the
statistics of these, the classes' weights, the random key; so `jax.vmap` over them is the training
of each by itself. What a run draws depends on its own fold and seed and on nothing else: neither
on how many train beside it nor on the samples it does not learn from.
"""

import dataclasses
from collections.abc import Callable, Sequence

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from micron_jax.data.views import normalize
from micron_jax.finetuning.augment import AugmentConfig, augment_pairs
from micron_jax.finetuning.losses import class_loss, class_weights, mixup
from micron_jax.finetuning.optimizer import (
    TuningConfig,
    join_params,
    make_optimizer,
    rate_rules,
    split_params,
)
from micron_jax.finetuning.partition import Part
from micron_jax.models.classifier import ClassifierConfig, Head, PairFeatures
from micron_jax.models.config import ModelConfig


@flax.struct.dataclass
class Runs:
    """Runs, [R] along the first axis of everything; lists of samples are padded to one length.

    Attributes:
      key: of all that the run draws.
      train, validation, test: indices of samples, int32 [R, n].
      train_count, validation_count, test_count: how many of them there are, int32 [R].
      mean, deviation: of the features of the run's training samples, float32 [R, F].
      weights: of the classes, from the run's training samples, float32 [R, C].
    """

    key: jax.Array
    train: jax.Array
    train_count: jax.Array
    validation: jax.Array
    validation_count: jax.Array
    test: jax.Array
    test_count: jax.Array
    mean: jax.Array
    deviation: jax.Array
    weights: jax.Array


@flax.struct.dataclass
class RunState:
    """What a run learns; `best` and `best_loss` stay as they began without inner validation."""

    params: dict
    opt_state: optax.OptState
    best: dict
    best_loss: jax.Array


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs have in common: the configs, and sizes that arrays must agree in."""

    model: ModelConfig
    classifier: ClassifierConfig
    tuning: TuningConfig
    augment: AugmentConfig
    classes: int
    steps_per_epoch: int
    inner: bool  # keep the epoch that is best on the validation samples
    watch_test: bool  # predict the test samples after each epoch, for the leaky figures alone


@dataclasses.dataclass(frozen=True)
class Program:
    """Functions of one run; `side_by_side` maps and compiles them. Nothing has run yet.

    `samples` is {"features": float32 [n, V, T, F]} with a frozen backbone (V versions of each
    pair, the pair as it is first), else {"onset", "apex": uint8 [n, S, S, 3]}; `labels` int32 [n].

    Attributes:
      init: init(run, backbone, samples) -> RunState.
      epoch: epoch(state, number, run, backbone, samples, labels) -> (state, metrics).
      predict: predict(state, run, backbone, samples) -> probabilities of the test list, [n, C].
      result: result(state, backbone) -> {"head", "backbone"}, the classifier that a run ends with.
    """

    init: Callable
    epoch: Callable
    predict: Callable
    result: Callable


def make_runs(
    parts: Sequence[Part], seeds: Sequence[int], features, labels, setting: Setting
) -> Runs:
    """All runs, seed by seed, on the host.

    Args:
      parts: the folds.
      seeds: each trains all folds.
      features: float32 [n, V, T, F], of the backbone as it starts.
      labels: class indices, [n].
      setting: common to all.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    first = features.mean(axis=(1, 2))
    second = np.square(features).mean(axis=(1, 2))
    lists = {
        name: _padded([getattr(part, name) for part in parts])
        for name in ("train", "validation", "test")
    }
    mean = np.stack([first[list(part.train)].mean(0) for part in parts])
    square = np.stack([second[list(part.train)].mean(0) for part in parts])
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    # A feature that is (nearly) constant in training must not explode on a test sample.
    deviation = np.maximum(deviation, 0.01 * deviation.mean(axis=1, keepdims=True) + 1e-9)
    weights = [
        class_weights(labels[list(part.train)], setting.classes, setting.tuning.class_weights)
        for part in parts
    ]
    one_seed = {
        "mean": mean.astype(np.float32),
        "deviation": deviation.astype(np.float32),
        "weights": np.stack(weights),
    }
    for name, (indices, counts) in lists.items():
        one_seed |= {name: indices, f"{name}_count": counts}
    keys = [
        jax.random.fold_in(jax.random.key(seed), fold)
        for seed in seeds
        for fold in range(len(parts))
    ]
    repeated = {name: np.concatenate([a] * len(seeds)) for name, a in one_seed.items()}
    return Runs(key=jnp.stack(keys), **repeated)


def steps_per_epoch(parts: Sequence[Part], batch_size: int) -> int:
    """Steps in which the fold with most training samples sees each of them once."""
    return -(-max(len(part.train) for part in parts) // batch_size)


def make_program(setting: Setting) -> Program:
    """The functions of one run."""
    tuning, frozen = setting.tuning, setting.tuning.trainable == "head"
    rules = rate_rules(tuning, setting.model.depth, setting.classifier.reads)
    optimizer = make_optimizer(tuning, rules, steps_per_epoch=setting.steps_per_epoch)
    extract = PairFeatures(setting.model, setting.classifier)
    head = Head(setting.classes, setting.classifier)

    def features_of(params, samples, index, *, key=None):
        """What the head gets of some samples, [B, T, F]; augmented if there is a key."""
        if frozen:
            versions = samples["features"].shape[1]
            version = jax.random.randint(key, index.shape, 0, versions) if key is not None else 0
            return samples["features"][index, version]
        onset, apex = samples["onset"][index], samples["apex"][index]
        if key is not None:
            onset, apex = augment_pairs(key, onset, apex, setting.augment)
        backbone = {"params": {"backbone": params["backbone"]}}
        return extract.apply(backbone, normalize(onset), normalize(apex))

    def logits_of(params, run, x, *, key=None):
        rngs = {} if key is None else {"dropout": key}
        return head.apply({"params": params["head"]}, x, deterministic=key is None, rngs=rngs)

    def standardize(run, x):
        return (x - run.mean) / run.deviation

    def init(run, backbone, samples):
        learning, _ = split_params({"backbone": backbone}, rules)
        shape = run.mean.shape[-1:]
        tokens = samples["features"].shape[2] if frozen else 1
        example = jnp.zeros((1, tokens, *shape))
        # The key of a seed's fold; folded, as epochs fold it with their numbers, from 0 up.
        key = jax.random.fold_in(run.key, tuning.epochs)
        new = head.init(key, example, deterministic=True)["params"]
        params = learning | split_params({"head": new}, rules)[0]
        return RunState(params, optimizer.init(params), params, jnp.float32(jnp.inf))

    def joined(params, backbone):
        _, kept = split_params({"backbone": backbone}, rules)
        return join_params(kept, params)

    def training_loss(params, key, index, run, backbone, samples, labels):
        view_key, mix_key, drop_key = jax.random.split(key, 3)
        params = joined(params, backbone)
        x = standardize(run, features_of(params, samples, index, key=view_key))
        hard = jax.nn.one_hot(labels[index], setting.classes)
        smooth = tuning.label_smoothing
        targets = hard * (1 - smooth) + smooth / setting.classes
        x, targets = mixup(mix_key, x, targets, tuning.mixup)
        logits = logits_of(params, run, x, key=drop_key)
        loss = class_loss(logits, targets, run.weights, focal=tuning.focal).mean()
        return loss, jnp.mean(logits.argmax(-1) == labels[index])

    def probabilities(params, run, samples, indices):
        def of(index):
            x = standardize(run, features_of(params, samples, index[None]))
            return jax.nn.softmax(logits_of(params, run, x))[0]

        return jax.lax.map(of, indices, batch_size=min(tuning.batch_size, len(indices)))

    def validation_loss(params, run, backbone, samples, labels):
        p = probabilities(joined(params, backbone), run, samples, run.validation)
        own = labels[run.validation]
        known = jnp.arange(len(own)) < run.validation_count
        losses = -jnp.log(jnp.take_along_axis(p, own[:, None], 1)[:, 0] + 1e-9)
        counted = jnp.where(known, run.weights[own], 0.0)
        return jnp.sum(losses * counted) / counted.sum()

    def epoch(state, number, run, backbone, samples, labels):
        order_key, step_key = jax.random.split(jax.random.fold_in(run.key, number))
        length = run.train.shape[0]
        there = jnp.arange(length) < run.train_count
        # What is no training sample sorts behind all that are, and is never reached.
        rank = jnp.where(there, jax.random.uniform(order_key, (length,)), 2.0)
        order = run.train[jnp.argsort(rank)]

        def step(carry, number):
            params, opt_state = carry
            # A last batch that is not full goes on with the epoch's first samples.
            place = number * tuning.batch_size + jnp.arange(tuning.batch_size)
            index = order[place % run.train_count]
            key = jax.random.fold_in(step_key, number)
            value_and_grad = jax.value_and_grad(training_loss, has_aux=True)
            metrics, grads = value_and_grad(params, key, index, run, backbone, samples, labels)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), metrics

        carry = (state.params, state.opt_state)
        steps = jnp.arange(setting.steps_per_epoch)
        (params, opt_state), (losses, hits) = jax.lax.scan(step, carry, steps)
        state = state.replace(params=params, opt_state=opt_state)
        metrics = {"train_loss": losses.mean(), "train_accuracy": hits.mean()}
        if setting.inner:
            loss = validation_loss(params, run, backbone, samples, labels)
            better = loss < state.best_loss
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), params, state.best)
            state = state.replace(best=best, best_loss=jnp.minimum(loss, state.best_loss))
            metrics["validation_loss"] = loss
        if setting.watch_test:
            metrics["test"] = probabilities(joined(params, backbone), run, samples, run.test)
        return state, metrics

    def result(state, backbone):
        return joined(state.best if setting.inner else state.params, backbone)

    def predict(state, run, backbone, samples):
        return probabilities(result(state, backbone), run, samples, run.test)

    return Program(init, epoch, predict, result)


def side_by_side(program: Program) -> Program:
    """The same, over runs [R]: compiled, the state donated; everything else is shared by them.

    Where the runs are spread over devices, so is all that comes of them (see `place`).
    """
    return Program(
        init=jax.jit(jax.vmap(program.init, (0, None, None))),
        epoch=jax.jit(jax.vmap(program.epoch, (0, None, 0, None, None, None)), donate_argnums=0),
        predict=jax.jit(jax.vmap(program.predict, (0, 0, None, None))),
        result=jax.jit(jax.vmap(program.result, (0, None))),
    )


def _padded(lists: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists as int32 [R, longest], filled up with their own first, and their lengths [R]."""
    longest = max(1, *(len(items) for items in lists))
    filled = [[*items, *([items[0] if items else 0] * (longest - len(items)))] for items in lists]
    return np.array(filled, np.int32), np.array([len(items) for items in lists], np.int32)

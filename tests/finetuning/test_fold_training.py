import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.benchmarks import sample
from helpers.tiny import PAPER

from micron_jax.datasets import protocols
from micron_jax.finetuning import fold_scheduler, fold_training
from micron_jax.finetuning.augment import AugmentConfig
from micron_jax.finetuning.fold_arrays import SharedArrays, stack_folds
from micron_jax.finetuning.fold_training import FoldFunctions, FoldTraining, steps_per_epoch
from micron_jax.finetuning.folds import SplitConfig, split
from micron_jax.finetuning.optimizer import TuningConfig
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.training.state import init_params

PROTOCOL = protocols.find("casme2_3")
EMOTIONS = ("disgust", "happiness", "surprise")
LABELED = protocols.apply(
    PROTOCOL,
    [
        sample("casme2", f"{subject}/{n}", str(subject), EMOTIONS[(n + subject) % 3])
        for subject in range(5)
        for n in range(3 + subject % 2)
    ],
)
LABELS = np.array([label for _, label in LABELED], np.int32)
COUNT, EPOCHS = len(LABELS), 3


def drawn_features(versions=2, tokens=1, width=6):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (COUNT, versions, tokens, width))
    return (noise + np.eye(3, width)[LABELS][:, None, None] * 4 + 5).astype(np.float32)


def make(selection="schedule", watch=False, tokens=1, **tuning):
    """(training, folds, features) of heads on frozen features."""
    folds = split(LABELED, PROTOCOL, SplitConfig(selection=selection), seed=0)
    tuning = TuningConfig(
        **dict(epochs=EPOCHS, batch_size=4, learning_rate=0.3, warmup_epochs=1.0) | tuning
    )
    pooling = "attention" if tokens > 1 else "mean"
    training = FoldTraining(
        model=PAPER,
        classifier=ClassifierConfig(pooling=pooling, dropout=0.2),
        tuning=tuning,
        augment=AugmentConfig(),
        classes=3,
        steps_per_epoch=steps_per_epoch(folds, tuning.batch_size),
        inner=selection == "inner",
        watch_test=watch,
    )
    return training, folds, drawn_features(tokens=tokens)


@functools.cache
def compiled(**kwargs):
    """(training, folds, features, side by side, each function of one fold compiled)."""
    training, folds, features = make(**kwargs)
    alone = FoldFunctions(*map(jax.jit, (training.init, training.epoch, training.predict)))
    return training, folds, features, training.side_by_side(), alone


def arrays_of(folds, seeds, features, labels=LABELS):
    return stack_folds(folds, seeds, features, labels, classes=3)


def shared_of(features, labels=LABELS):
    return SharedArrays({}, {"features": jnp.asarray(features)}, jnp.asarray(labels))


def train(functions, arrays, features, numbers=None, stopped=lambda: False):
    numbers = range(len(arrays.key)) if numbers is None else numbers
    scheduler = fold_scheduler.FoldScheduler(
        functions, arrays, shared_of(features), epochs=EPOCHS, at_once=16, stopped=stopped
    )
    return dict(scheduler.train(numbers))


def train_alone(alone, fold, features, labels=LABELS):
    """One fold by itself, no axis of folds anywhere: yields (state, metrics) of each epoch."""
    shared = shared_of(features, labels)
    state = alone.init(fold, shared)
    for epoch in range(EPOCHS):
        state, metrics = alone.epoch(state, epoch, fold, shared)
        yield state, metrics


def test_folds_side_by_side_equal_folds_one_by_one():
    """Predictions of test subjects after each epoch change nothing."""
    _, folds, features, _, alone = compiled()
    functions = compiled(watch=True)[3]
    arrays = arrays_of(folds, [0, 7], features)
    together = train(functions, arrays, features)
    assert sorted(together) == list(range(10))
    for number in range(10):
        test = folds[number % 5].test
        *_, (state, _) = train_alone(alone, arrays[number], features)
        p = alone.predict(state, arrays[number], shared_of(features))[: len(test)]
        np.testing.assert_allclose(together[number].probabilities, p, atol=1e-5)
        assert (together[number].probabilities.argmax(-1) == p.argmax(-1)).all()
        assert together[number].test_curve.shape == (EPOCHS, len(test), 3)
        np.testing.assert_allclose(together[number].test_curve[-1], p, atol=1e-5)
    assert np.abs(together[0].probabilities - together[5].probabilities).max() > 1e-4  # two seeds
    # A batch that is filled up with repeats, in another order: the same bits.
    part = train(functions, arrays, features, numbers=[6, 2])
    assert sorted(part) == [2, 6]
    np.testing.assert_array_equal(part[6].probabilities, together[6].probabilities)
    assert train(functions, arrays, features, stopped=lambda: True) == {}
    # It learns.
    hits = [
        (together[n].probabilities.argmax(-1) == LABELS[list(fold.test)]).mean()
        for n, fold in enumerate(folds)
    ]
    assert np.mean(hits) > 0.6  # chance is 1/3
    losses = together[0].curves["train_loss"]
    assert losses[-1] < losses[0]


def learned(state):
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(state.params)])


@pytest.mark.parametrize("selection", ["schedule", "inner"])
def test_the_test_subject_reaches_nothing(selection):
    """Its features and labels changed: statistics, weights and trained head keep their bits."""
    _, folds, features, _, alone = compiled(selection=selection)
    test = list(folds[2].test)
    other, other_labels = features.copy(), LABELS.copy()
    other[test] = 1e3 * np.random.default_rng(1).normal(size=other[test].shape)
    other_labels[test] = (other_labels[test] + 1) % 3
    outcomes = []
    for x, y in ((features, LABELS), (other, other_labels)):
        fold = arrays_of(folds, [0], x, y)[2]
        *_, (state, _) = train_alone(alone, fold, x, y)
        outcome = fold.mean, fold.deviation, fold.weights, learned(state), state.best_loss
        outcomes.append([np.asarray(a) for a in (*outcome, *jax.tree.leaves(state.best))])
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_with_respect_to_test_samples_are_zero():
    training, folds, features, *_ = compiled()

    @jax.jit
    @jax.vmap
    def gradient(fold):
        def last_loss(x):
            shared = shared_of(x)

            def epoch(state, number):
                state, metrics = training.epoch(state, number, fold, shared)
                return state, metrics["train_loss"]

            return jax.lax.scan(epoch, training.init(fold, shared), jnp.arange(EPOCHS))[1][-1]

        return jax.grad(last_loss)(jnp.asarray(features))

    grads = np.asarray(gradient(arrays_of(folds, [0], features)))
    for fold, grad in zip(folds, grads, strict=True):
        assert (grad[list(fold.test)] == 0).all()
        assert (np.abs(grad[list(fold.train)]).max(axis=(1, 2, 3)) > 0).all()


def test_a_learning_backbone_sees_no_test_frame(monkeypatch):
    # The root of Adam's second moment has no derivative where a gradient is zero.
    monkeypatch.setattr(fold_training, "make_optimizer", lambda *_, **__: optax.sgd(0.1))
    training, folds, *_ = compiled()
    tuning = TuningConfig(epochs=1, batch_size=4, trainable="all", mixup=0.4)
    training = dataclasses.replace(
        training,
        tuning=tuning,
        augment=AugmentConfig(),
        classifier=ClassifierConfig(features="difference"),
        steps_per_epoch=4,
    )
    weights = jax.jit(init_params, static_argnums=0)(PAPER, jax.random.key(0))
    backbone = {part: weights[part] for part in ("encoder", "dma")}
    frames = np.random.default_rng(0).uniform(0, 255, (2, COUNT, 32, 32, 3)).astype(np.float32)
    scale = np.random.default_rng(1).normal(size=(COUNT, 1, 1, 32))  # of features, as measured
    fold = jax.tree.map(jnp.asarray, arrays_of(folds, [0], scale)[1])

    @jax.jit
    def gradient(onset, apex):
        def loss(samples):
            shared = SharedArrays(backbone, samples, jnp.asarray(LABELS))
            state, metrics = training.epoch(training.init(fold, shared), 0, fold, shared)
            moved = {path: leaf for path, leaf in state.params.items() if "block_0" in path}
            return metrics["train_loss"], moved

        return jax.grad(loss, has_aux=True)({"onset": onset, "apex": apex})

    grads, moved = gradient(*frames)
    assert moved
    before = weights["encoder"]["block_0"]["attn"]["qkv"]["kernel"]
    after = moved["backbone/encoder/block_0/attn/qkv/kernel"]
    assert np.abs(after - before).max() > 0
    for grad in grads.values():
        assert (np.asarray(grad)[list(folds[1].test)] == 0).all()
        assert (np.abs(np.asarray(grad)[list(folds[1].train)]).max(axis=(1, 2, 3)) > 0).all()


def test_inner_validation_selects_the_best_epoch():
    _, folds, features, _, alone = compiled(selection="inner")
    fold = arrays_of(folds, [0], features)[0]
    states, metrics = zip(*train_alone(alone, fold, features), strict=True)
    losses = [float(m["validation_loss"]) for m in metrics]
    assert float(states[-1].best_loss) == min(losses)
    best = states[int(np.argmin(losses))].params
    for path, leaf in states[-1].best.items():
        np.testing.assert_array_equal(leaf, best[path])


def test_memory_sets_how_many_train_at_once(monkeypatch):
    _, folds, features, functions, _ = compiled()
    arrays = arrays_of(folds, [0, 1, 2, 3], features)
    monkeypatch.setattr(fold_scheduler, "_free_bytes", lambda: 0)
    count = fold_scheduler.fitting(functions, arrays, shared_of(features))
    assert count == jax.device_count()

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
from micron_jax.finetuning.optimizer import TuningConfig
from micron_jax.finetuning.partition import SplitConfig, partition
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
    """(setting, parts, features) of heads on frozen features."""
    parts = partition(LABELED, PROTOCOL, SplitConfig(selection=selection), seed=0)
    tuning = TuningConfig(
        **dict(epochs=EPOCHS, batch_size=4, learning_rate=0.3, warmup_epochs=1.0) | tuning
    )
    pooling = "attention" if tokens > 1 else "mean"
    setting = fold_training.Setting(
        model=PAPER,
        classifier=ClassifierConfig(pooling=pooling, dropout=0.2),
        tuning=tuning,
        augment=AugmentConfig(),
        classes=3,
        steps_per_epoch=fold_training.steps_per_epoch(parts, tuning.batch_size),
        inner=selection == "inner",
        watch_test=watch,
    )
    return setting, parts, drawn_features(tokens=tokens)


@functools.cache
def compiled(**kwargs):
    """(setting, parts, features, program, side by side, each function of one run compiled)."""
    setting, parts, features = make(**kwargs)
    program = fold_training.make_program(setting)
    functions = program.init, program.epoch, program.predict, program.result
    alone = fold_training.Program(*map(jax.jit, functions))
    return setting, parts, features, program, fold_training.side_by_side(program), alone


def train(program, runs, features, labels=LABELS, at_once=16, todo=None, stopped=lambda: False):
    todo = range(len(runs.key)) if todo is None else todo
    samples = {"features": jnp.asarray(features)}
    return dict(
        fold_scheduler.train_runs(
            program, runs, todo, {}, samples, jnp.asarray(labels),
            epochs=EPOCHS, at_once=at_once, stopped=stopped,
        )
    )  # fmt: skip


def train_alone(alone, run, features, labels=LABELS):
    """One run by itself, no axis of folds anywhere: yields (state, metrics) of each epoch."""
    samples, labels = {"features": jnp.asarray(features)}, jnp.asarray(labels)
    state = alone.init(run, {}, samples)
    for epoch in range(EPOCHS):
        state, metrics = alone.epoch(state, epoch, run, {}, samples, labels)
        yield state, metrics


def run_of(runs, number):
    return jax.tree.map(lambda a: a[number], runs)


def test_side_by_side_is_one_by_one():
    """And what the test subjects would have said on the way, watched or not, changes nothing."""
    setting, parts, features, _, _, alone = compiled()
    vectorized = compiled(watch=True)[4]
    runs = fold_training.make_runs(parts, [0, 7], features, LABELS, setting)
    together = train(vectorized, runs, features)
    assert sorted(together) == list(range(10))
    for number in range(10):
        run, part = run_of(runs, number), parts[number % 5]
        *_, (state, _) = train_alone(alone, run, features)
        p = alone.predict(state, run, {}, {"features": jnp.asarray(features)})[: len(part.test)]
        np.testing.assert_allclose(together[number].probabilities, p, atol=1e-5)
        assert (together[number].probabilities.argmax(-1) == p.argmax(-1)).all()
        assert together[number].watched.shape == (EPOCHS, len(part.test), 3)
        np.testing.assert_allclose(together[number].watched[-1], p, atol=1e-5)
    assert np.abs(together[0].probabilities - together[5].probabilities).max() > 1e-4  # two seeds
    # A chunk that is filled up with repeats, in another order: the same bits.
    part = train(vectorized, runs, features, todo=[6, 2])
    assert sorted(part) == [2, 6]
    np.testing.assert_array_equal(part[6].probabilities, together[6].probabilities)
    assert train(vectorized, runs, features, stopped=lambda: True) == {}
    # It learns.
    hits = [
        (together[n].probabilities.argmax(-1) == LABELS[list(part.test)]).mean()
        for n, part in enumerate(parts)
    ]
    assert np.mean(hits) > 0.6  # chance is 1/3
    losses = together[0].curves["train_loss"]
    assert losses[-1] < losses[0]


def trained(state):
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(state.params)])


@pytest.mark.parametrize("selection", ["schedule", "inner"])
def test_the_test_subject_reaches_nothing(selection):
    """Its features and labels changed: statistics, weights and trained head keep their bits."""
    setting, parts, features, _, _, alone = compiled(selection=selection)
    test = list(parts[2].test)
    other, other_labels = features.copy(), LABELS.copy()
    other[test] = 1e3 * np.random.default_rng(1).normal(size=other[test].shape)
    other_labels[test] = (other_labels[test] + 1) % 3
    found = []
    for x, y in ((features, LABELS), (other, other_labels)):
        run = run_of(fold_training.make_runs(parts, [0], x, y, setting), 2)
        *_, (state, _) = train_alone(alone, run, x, y)
        kept = (run.mean, run.deviation, run.weights, trained(state), state.best_loss)
        found.append([np.asarray(a) for a in (*kept, *jax.tree.leaves(state.best))])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_with_respect_to_test_samples_are_zero():
    setting, parts, features, program, *_ = compiled()
    runs = fold_training.make_runs(parts, [0], features, LABELS, setting)
    labels = jnp.asarray(LABELS)

    @jax.jit
    @jax.vmap
    def gradient(run):
        def last_loss(x):
            samples = {"features": x}

            def epoch(state, number):
                state, metrics = program.epoch(state, number, run, {}, samples, labels)
                return state, metrics["train_loss"]

            return jax.lax.scan(epoch, program.init(run, {}, samples), jnp.arange(EPOCHS))[1][-1]

        return jax.grad(last_loss)(jnp.asarray(features))

    grads = np.asarray(gradient(runs))
    for part, grad in zip(parts, grads, strict=True):
        assert (grad[list(part.test)] == 0).all()
        assert (np.abs(grad[list(part.train)]).max(axis=(1, 2, 3)) > 0).all()


def test_a_backbone_that_learns_sees_no_test_frame(monkeypatch):
    # The root of Adam's second moment has no derivative where a gradient is zero.
    monkeypatch.setattr(fold_training, "make_optimizer", lambda *_, **__: optax.sgd(0.1))
    setting, parts, *_ = compiled()
    tuning = TuningConfig(epochs=1, batch_size=4, trainable="all", mixup=0.4)
    setting = dataclasses.replace(
        setting,
        tuning=tuning,
        augment=AugmentConfig(),
        classifier=ClassifierConfig(features="difference"),
        steps_per_epoch=4,
    )
    program = fold_training.make_program(setting)
    weights = jax.jit(init_params, static_argnums=0)(PAPER, jax.random.key(0))
    backbone = {part: weights[part] for part in ("encoder", "dma")}
    frames = np.random.default_rng(0).uniform(0, 255, (2, COUNT, 32, 32, 3)).astype(np.float32)
    scale = np.random.default_rng(1).normal(size=(COUNT, 1, 1, 32))  # of features, as measured
    runs = fold_training.make_runs(parts, [0], scale, LABELS, setting)
    run, labels = jax.tree.map(lambda a: jnp.asarray(a[1]), runs), jnp.asarray(LABELS)

    @jax.jit
    def gradient(onset, apex):
        def loss(samples):
            state = program.init(run, backbone, samples)
            state, metrics = program.epoch(state, 0, run, backbone, samples, labels)
            moved = {path: leaf for path, leaf in state.params.items() if "block_0" in path}
            return metrics["train_loss"], moved

        return jax.grad(loss, has_aux=True)({"onset": onset, "apex": apex})

    grads, moved = gradient(*frames)
    assert moved
    before = weights["encoder"]["block_0"]["attn"]["qkv"]["kernel"]
    after = moved["backbone/encoder/block_0/attn/qkv/kernel"]
    assert np.abs(after - before).max() > 0
    for grad in grads.values():
        assert (np.asarray(grad)[list(parts[1].test)] == 0).all()
        assert (np.abs(np.asarray(grad)[list(parts[1].train)]).max(axis=(1, 2, 3)) > 0).all()


def test_inner_validation_keeps_the_best_epoch():
    setting, parts, features, _, _, alone = compiled(selection="inner")
    run = run_of(fold_training.make_runs(parts, [0], features, LABELS, setting), 0)
    states, metrics = zip(*train_alone(alone, run, features), strict=True)
    losses = [float(m["validation_loss"]) for m in metrics]
    assert float(states[-1].best_loss) == min(losses)
    best = states[int(np.argmin(losses))].params
    for path, leaf in states[-1].best.items():
        np.testing.assert_array_equal(leaf, best[path])


def test_results_are_read_back(tmp_path):
    result = fold_scheduler.Result(
        np.ones((2, 3), np.float32), {"train_loss": np.arange(3.0)}, None
    )
    path = fold_scheduler.path_of(tmp_path, 1, 12)
    assert fold_scheduler.read(path) is None
    fold_scheduler.save(path, result)
    again = fold_scheduler.read(path)
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    np.testing.assert_array_equal(again.curves["train_loss"], result.curves["train_loss"])
    assert again.watched is None
    path.write_bytes(path.read_bytes()[:50])
    assert fold_scheduler.read(path) is None


def test_memory_sets_how_many_train_at_once(monkeypatch):
    setting, parts, features, _, vectorized, _ = compiled()
    runs = fold_training.make_runs(parts, [0, 1, 2, 3], features, LABELS, setting)
    shared = {}, {"features": jnp.asarray(features)}, jnp.asarray(LABELS)
    monkeypatch.setattr(fold_scheduler, "_free_bytes", lambda: 0)
    assert fold_scheduler.fitting(vectorized, runs, *shared) == jax.device_count()

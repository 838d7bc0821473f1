"""A batch in parts is the batch."""

import functools

import chex
import jax
import numpy as np
import pytest
from helpers.tiny import PAPER, RELEASE, init_state

from micron_jax.models.micron_bert import bound
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig, make_optimizer
from micron_jax.training.sharding import MeshConfig, batch_sharding, make_mesh, state_shardings
from micron_jax.training.steps import Objective, TrainStep


def drawn_views(count):
    rng = np.random.default_rng(0)
    views = {name: rng.normal(size=(count, 32, 32, 3)) for name in ("cur", "ref", "rep")}
    views |= {
        "global": rng.normal(size=(count, 2, 32, 32, 3)),
        "local": rng.normal(size=(count, 1, 16, 16, 3)),
    }
    return jax.tree.map(np.float32, views)


@pytest.mark.parametrize(
    ("model", "objective"),
    [(RELEASE, ObjectiveConfig(agreement="dino")), (PAPER, ObjectiveConfig(agreement="mse"))],
    ids=["release", "paper"],
)
def test_accumulated_gradients_equal_those_of_the_batch(model, objective):
    optimizer = make_optimizer(OptimizerConfig(), 1e-2)
    dino = objective.agreement == "dino"
    state = jax.jit(lambda key: init_state(model, optimizer, key, dino=dino))(jax.random.key(0))
    views = drawn_views(6)
    grads, parts = {}, {}
    for count in (1, 3):
        step = TrainStep(Objective(model, objective), optimizer, 2, 10, accumulate=count)
        grads[count], parts[count] = jax.jit(step.gradients)(state, views)
    chex.assert_trees_all_close(grads[3], grads[1], rtol=2e-4, atol=2e-6)
    for name in ("loss", "reconstruction", "agreement"):
        np.testing.assert_allclose(parts[3][name], parts[1][name], rtol=1e-5)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(grads[1])) > 1e-3
    if dino:
        centers = [step.update(state, grads[count], parts[count]).center for count in (1, 3)]
        np.testing.assert_allclose(centers[1], centers[0], rtol=1e-5, atol=1e-8)
        assert np.abs(centers[0]).max() > 0


def test_sequential_terms_give_the_same_gradients_in_less_memory():
    objective = ObjectiveConfig(agreement="dino")
    optimizer = make_optimizer(OptimizerConfig(), 1e-2)
    state = jax.jit(lambda key: init_state(RELEASE, optimizer, key, dino=True))(jax.random.key(0))
    views = drawn_views(32)
    gradients, memory = {}, {}
    for sequential in (False, True):
        step = TrainStep(Objective(RELEASE, objective), optimizer, 2, 10, sequential=sequential)
        program = jax.jit(step.gradients).lower(state, views).compile()
        memory[sequential] = program.memory_analysis().temp_size_in_bytes
        gradients[sequential] = program(state, views)
    chex.assert_trees_all_close(gradients[True], gradients[False], rtol=2e-4, atol=2e-6)
    assert memory[True] < 0.85 * memory[False]


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        pytest.param(RELEASE, ObjectiveConfig(agreement="dino"), id="release"),
        pytest.param(PAPER, ObjectiveConfig(agreement="mse"), id="paper", marks=pytest.mark.slow),
    ],
)
def test_metrics_are_those_of_the_batch_in_any_number_of_parts_on_any_devices(model, objective):
    optimizer, dino = make_optimizer(OptimizerConfig(), 1e-2), objective.agreement == "dino"
    views, metrics = drawn_views(8), {}
    for parts, devices in ((1, 1), (2, 1), (8, 1), (1, 8), (2, 4)):
        mesh = make_mesh(MeshConfig(), jax.devices()[:devices])
        init = functools.partial(init_state, model, optimizer, dino=dino)
        shardings = state_shardings(mesh, jax.eval_shape(init, jax.random.key(0)))
        state = jax.jit(init, out_shardings=shardings)(jax.random.key(0))
        step = TrainStep(Objective(model, objective), optimizer, 2, 10, accumulate=parts)
        spread = jax.device_put(views, batch_sharding(mesh))
        metrics[parts, devices] = jax.device_get(jax.jit(step)(state, spread)[1])
    whole = metrics.pop((1, 1))
    assert {"feature_spread", "grad_norm", "update_norm", "loss"} <= whole.keys()
    assert dino == ("teacher_entropy" in whole)
    features = bound(model, jax.device_get(state.params)).encode(views["ref"])[:, 0]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = unit.std(axis=0).mean() * np.sqrt(unit.shape[1])
    np.testing.assert_allclose(whole["feature_spread"], expected, rtol=1e-4)
    assert expected > 0.05  # a part of one sample has none
    for name, value in whole.items():
        for way, others in metrics.items():
            np.testing.assert_allclose(others[name], value, rtol=1e-4, err_msg=f"{name} {way}")


def test_a_batch_of_one_sample_has_no_spread():
    optimizer = make_optimizer(OptimizerConfig(), 1e-2)
    state = jax.jit(lambda key: init_state(PAPER, optimizer, key, dino=False))(jax.random.key(0))
    step = TrainStep(Objective(PAPER, ObjectiveConfig(agreement="mse")), optimizer, 2, 10)
    _, metrics = jax.eval_shape(step, state, drawn_views(1))
    assert "feature_spread" not in metrics
    assert {"loss", "agreement"} <= metrics.keys()

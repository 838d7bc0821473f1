"""A batch in parts is the batch."""

import chex
import jax
import numpy as np
import pytest
from helpers.tiny import PAPER, RELEASE, init_state

from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig, make_optimizer
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

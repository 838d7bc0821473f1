import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from helpers.tiny import PAPER, RELEASE

from micron_jax.checkpoints.release import release_name, to_release
from micron_jax.checkpoints.weights import shapes_of
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.models.param_paths import match
from micron_jax.training.optimizer import (
    UPDATE_RULES,
    OptimizerConfig,
    learning_rate,
    make_optimizer,
)
from micron_jax.training.state import init_params


@pytest.mark.parametrize("size", SIZES)
def test_every_parameter_has_the_rule_of_the_release(size):
    config = ModelConfig.of_size(size, projection_dim=16)
    for path, leaf in shapes_of(config).items():
        if not path.startswith("params/"):
            continue
        how = match(UPDATE_RULES, path.removeprefix("params/"))
        name = release_name(path)
        # Recorded: what has more than one axis there and is no bias is decayed.
        blank = np.broadcast_to(np.float32(0), leaf.shape)
        axes = to_release(path, blank).ndim
        if "pos_embed" in name or name.endswith("weight_g"):
            assert how == "frozen", name
        else:
            assert (how == "decayed") == (axes > 1 and not name.endswith("bias")), name


def test_a_parameter_without_a_rule_is_an_error():
    with pytest.raises(KeyError, match="no rule for parameter 'encoder/temperature'"):
        match(UPDATE_RULES, "encoder/temperature")


def test_a_step_equals_adamw_and_frozen_parameters_stay():
    params = jax.jit(functools.partial(init_params, RELEASE))(jax.random.key(0))
    optimizer = make_optimizer(OptimizerConfig(weight_decay=0.5), 1e-2)
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = jax.jit(optimizer.update)(grads, optimizer.init(params), params)
    updates, params = (flatten_dict(tree, sep="/") for tree in (updates, params))
    assert not updates["encoder/positions"].any()
    assert not updates["head/gain"].any()
    np.testing.assert_allclose(updates["encoder/norm/scale"], -1e-2, rtol=1e-5)
    kernel = params["dma/to_q/kernel"]
    np.testing.assert_allclose(
        updates["dma/to_q/kernel"], -1e-2 * (1 + 0.5 * kernel), rtol=1e-4, atol=1e-8
    )


def test_clipping_bounds_the_norm_of_all_gradients():
    params = jax.jit(functools.partial(init_params, PAPER))(jax.random.key(0))
    optimizer = make_optimizer(OptimizerConfig(clip_norm=1.0, weight_decay=0.0), 1.0)
    state = optimizer.init(params)
    grads = jax.tree.map(jnp.ones_like, params)
    _, once = jax.jit(optimizer.update)(grads, state, params)
    _, more = jax.jit(optimizer.update)(jax.tree.map(lambda g: 7 * g, grads), state, params)
    chex.assert_trees_all_close(once, more, rtol=1e-5)


def test_learning_rate_grows_with_the_batch_warms_up_and_decays():
    config = OptimizerConfig(learning_rate=1e-3, base_batch_size=256, warmup_epochs=2.0)
    schedule = learning_rate(config, batch_size=512, steps_per_epoch=5, total_steps=30)
    np.testing.assert_allclose(schedule(0), 0)
    np.testing.assert_allclose(schedule(5), 1e-3, rtol=1e-6)
    np.testing.assert_allclose(schedule(10), 2e-3, rtol=1e-6)
    np.testing.assert_allclose(schedule(20), 1e-3, rtol=1e-6)
    np.testing.assert_allclose(schedule(30), 0, atol=1e-9)
    flat = OptimizerConfig(learning_rate=1e-3, base_batch_size=0, schedule="constant")
    schedule = learning_rate(flat, batch_size=512, steps_per_epoch=5, total_steps=30)
    assert schedule(0) == schedule(29) == 1e-3

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import PAPER

from micron_jax.errors import UserError
from micron_jax.finetuning.optimizer import (
    TuningConfig,
    join_params,
    make_optimizer,
    rate_rules,
    split_params,
)
from micron_jax.models.param_paths import match
from micron_jax.training.state import init_params

ENCODER = "backbone/encoder"


def rates(depth=4, **config):
    rules = rate_rules(TuningConfig(backbone_rate=0.5, layer_decay=0.1, **config), depth)
    paths = ["head/classes/kernel", "backbone/dma/to_q/kernel", f"{ENCODER}/norm/scale"]
    paths += [f"{ENCODER}/block_{i}/attn/qkv/kernel" for i in (3, 2, 0)]
    paths += [f"{ENCODER}/patch_embed/kernel", f"{ENCODER}/cls", f"{ENCODER}/positions"]
    return [match(rules, path) for path in paths]


def test_rates_by_depth():
    below = 0.5 * 0.1**4
    np.testing.assert_allclose(
        rates(trainable="all"), [1, 0.5, 0.5, 0.5, 0.05, 0.0005, below, below, 0]
    )
    np.testing.assert_allclose(rates(trainable="last:1"), [1, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(rates(trainable="last:2"), [1, 0.5, 0.5, 0.5, 0.05, 0, 0, 0, 0])
    assert rates(trainable="head") == [1] + [0] * 8


def test_block_10_is_not_block_1():
    rules = rate_rules(TuningConfig(trainable="last:2"), 12)
    assert match(rules, f"{ENCODER}/block_1/mlp/fc1/kernel") == 0
    assert match(rules, f"{ENCODER}/block_10/mlp/fc1/kernel") > 0


def test_parameters_are_split_and_joined():
    shapes = jax.eval_shape(lambda: init_params(PAPER, jax.random.key(0)))
    params = {"backbone": {part: shapes[part] for part in ("encoder", "dma")}}
    for trainable in ("head", "last:1", "all"):
        learning, frozen = split_params(params, rate_rules(TuningConfig(trainable=trainable), 1))
        assert join_params(learning, frozen) == params
        assert (trainable == "head") == (not learning)
    assert list(frozen) == ["backbone/encoder/positions"]


def test_the_optimizer_applies_the_rates():
    config = TuningConfig(
        trainable="all", backbone_rate=0.1, learning_rate=1e-2, warmup_epochs=0, weight_decay=0.0
    )
    params = {"head/classes/kernel": jnp.ones(3), f"{ENCODER}/block_0/mlp/fc1/bias": jnp.ones(3)}
    optimizer = make_optimizer(config, rate_rules(config, 1), steps_per_epoch=10)
    grads = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["head/classes/kernel"], -1e-2, rtol=1e-4)
    np.testing.assert_allclose(updates[f"{ENCODER}/block_0/mlp/fc1/bias"], -1e-3, rtol=1e-4)


@pytest.mark.parametrize("value", ["tail", "last:0", "last:", "last:x"])
def test_unknown_parts_are_refused(value):
    with pytest.raises(UserError, match="choose head, all or last:K"):
        TuningConfig(trainable=value)

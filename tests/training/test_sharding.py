"""The same step on one device and on eight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import PAPER, RELEASE, init_state
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig, make_optimizer
from micron_jax.training.sharding import MeshConfig, batch_sharding, make_mesh, state_shardings
from micron_jax.training.steps import Objective, TrainStep

OPTIMIZER = make_optimizer(OptimizerConfig(), 1e-2)


def run(model, objective, mesh, steps=3):
    """A few steps on the given mesh: (metrics of each step, final state)."""
    dino = objective.agreement == "dino"
    init = functools.partial(init_state, model, OPTIMIZER, dino=dino)
    key = jax.random.key(0)
    shardings = state_shardings(mesh, jax.eval_shape(init, key))
    state = jax.jit(init, out_shardings=shardings)(key)
    step = jax.jit(
        TrainStep(Objective(model, objective), OPTIMIZER, steps_per_epoch=2, total_steps=10),
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, NamedSharding(mesh, P())),
        donate_argnums=0,
    )
    rng = np.random.default_rng(0)
    frames = {name: rng.normal(size=(8, 32, 32, 3)) for name in ("cur", "ref", "rep")}
    crops = {
        "global": rng.normal(size=(8, 2, 32, 32, 3)),
        "local": rng.normal(size=(8, 2, 16, 16, 3)),
    }
    views = jax.device_put(
        jax.tree.map(np.float32, frames | crops), NamedSharding(mesh, batch_sharding(mesh).spec)
    )
    metrics = []
    for _ in range(steps):
        state, metric = step(state, views)
        metrics.append({name: float(value) for name, value in metric.items()})
    return metrics, jax.device_get(state)


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        pytest.param(
            RELEASE, ObjectiveConfig(agreement="dino", teacher_momentum=0.5), id="release"
        ),
        pytest.param(PAPER, ObjectiveConfig(agreement="mse"), id="paper", marks=pytest.mark.slow),
    ],
)
def test_one_device_and_eight_learn_the_same(model, objective):
    alone, one = run(model, objective, make_mesh(MeshConfig(), jax.devices()[:1]))
    assert alone[-1]["loss"] < alone[0]["loss"]
    together, eight = run(model, objective, make_mesh(MeshConfig(data=4, fsdp=2)))
    for a, b in zip(alone, together, strict=True):
        for name, value in a.items():
            np.testing.assert_allclose(b[name], value, rtol=1e-4, err_msg=name)
    if objective.agreement == "dino":
        assert np.abs(one.center).max() > 0
        np.testing.assert_allclose(eight.center, one.center, rtol=1e-4, atol=1e-7)
        teacher, student = one.teacher["encoder"]["cls"], one.params["encoder"]["cls"]
        assert not np.allclose(teacher, student)


@pytest.mark.parametrize("size", SIZES)
def test_fsdp_splits_every_matrix_and_its_moments(size):
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))
    model = ModelConfig.of_size(size, projection_dim=128)
    init = functools.partial(init_state, model, OPTIMIZER, dino=True)
    shapes = jax.eval_shape(init, jax.random.key(0))
    shardings = state_shardings(mesh, shapes)

    def bytes_here(tree):
        pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(shardings), strict=True)
        return sum(
            np.prod(sharding.shard_shape(leaf.shape)) * jnp.dtype(leaf.dtype).itemsize
            for leaf, sharding in pairs
        )

    full = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    # Positions, biases and norms stay whole; the rest is a quarter.
    assert bytes_here(shapes) < (0.25 + (0.15 if size == "tiny" else 0.05)) * full


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (MeshConfig(), {"data": 8, "fsdp": 1}),
        (MeshConfig(data=2, fsdp=-1), {"data": 2, "fsdp": 4}),
        (MeshConfig(data=4, fsdp=2), {"data": 4, "fsdp": 2}),
    ],
)
def test_meshes(config, expected):
    assert dict(make_mesh(config).shape) == expected


@pytest.mark.parametrize(
    "config",
    [MeshConfig(data=3), MeshConfig(data=-1, fsdp=-1), MeshConfig(fsdp=0), MeshConfig(fsdp=16)],
)
def test_impossible_meshes_are_named(config):
    with pytest.raises(UserError, match=r"mesh\."):
        make_mesh(config)


def test_widths_that_fsdp_does_not_divide_are_named():
    model = ModelConfig(img_size=32, width=36, heads=1, depth=1, decoder_depth=1)
    init = functools.partial(init_state, model, OPTIMIZER, dino=False)
    shapes = jax.eval_shape(init, jax.random.key(0))
    with pytest.raises(UserError, match=r"mesh\.fsdp=8: does not divide an axis of"):
        state_shardings(make_mesh(MeshConfig(data=1, fsdp=8)), shapes)

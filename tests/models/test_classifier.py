import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import PAPER, RELEASE

from micron_jax.errors import UserError
from micron_jax.models.classifier import ClassifierConfig, Head, PairFeatures, grid_mean
from micron_jax.models.micron_bert import bound
from micron_jax.training.state import init_params


@pytest.fixture(scope="module")
def params():
    return jax.jit(init_params, static_argnums=0)(PAPER, jax.random.key(0))


@pytest.fixture(scope="module")
def frames():
    return jax.random.normal(jax.random.key(1), (2, 3, 32, 32, 3))


def features(params, frames, model=PAPER, **config):
    backbone = {part: params[part] for part in ("encoder", "dma")}
    network = PairFeatures(model, ClassifierConfig(**config))
    return jax.jit(network.apply)({"params": {"backbone": backbone}}, *frames)


@jax.jit
def attended(params, onset, apex):
    network = bound(PAPER, params)
    return network.attend(network.encode(onset), network.encode(apex))


def test_p_dma_equals_the_paper(params, frames):
    # Eq. 8 and 9 with frame t the onset (`rep` there) and t+δ the apex (`ref`).
    expected = attended(params, *frames)
    output = features(params, frames, features="p_dma", pooling="attention")
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
    turned = features(params, frames, pooling="attention", query="onset", key="apex")
    assert np.abs(turned - expected).max() > 1e-4


def test_features_of_equal_frames_are_zero(params, frames):
    onset, apex = frames
    # One batch: nothing moves; something does; the same, the other way round.
    trio = jnp.stack([onset[0], onset[0], apex[0]]), jnp.stack([onset[0], apex[0], onset[0]])
    for kind, way in (("difference", -1), ("heat", 1), ("cls", -1)):
        still, there, back = features(params, trio, features=kind, pooling="grid", cells=4)
        assert np.abs(still).max() < 1e-5
        assert np.abs(there).max() > 1e-3
        np.testing.assert_allclose(there, way * back, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (dict(pooling="mean"), (3, 1, 32)),
        (dict(pooling="heat", features="difference"), (3, 1, 32)),
        (dict(pooling="grid", cells=2), (3, 1, 128)),
        (dict(pooling="attention"), (3, 16, 32)),
        (dict(features="cls", pooling="attention"), (3, 1, 32)),
        (dict(features="cosine", pooling="grid", cells=4), (3, 1, 16)),
    ],
)
def test_shapes(params, frames, config, shape):
    head = Head(5, ClassifierConfig(**config, hidden=8))

    def classify(model, params, onset, apex):
        output = features(params, (onset, apex), model, **config)
        logits, _ = head.init_with_output(jax.random.key(0), output, deterministic=True)
        return output, logits

    for model in (PAPER, RELEASE):
        output, logits = jax.eval_shape(functools.partial(classify, model), params, *frames)
        assert (output.shape, output.dtype) == (shape, jnp.float32)
        assert logits.shape == (3, 5)


def test_heat_pooling_weights_the_motion(params):
    """Patches of an apex that is the onset elsewhere: the pooled difference is of what moved."""
    onset = jax.random.normal(jax.random.key(2), (1, 32, 32, 3))
    apex = onset.at[:, 8:16, 8:16].set(0.0)
    weighted = features(params, (onset, apex), features="difference", pooling="heat").ravel()
    patches = features(params, (onset, apex), features="difference", pooling="attention")[0]
    alike = np.array([np.corrcoef(weighted, patch)[0, 1] for patch in patches])
    assert alike.argmax() == 1 * 4 + 1


def test_grid_means_by_hand():
    patches = jnp.arange(16.0).reshape(1, 16, 1)
    np.testing.assert_allclose(grid_mean(patches, (4, 4), 2)[0], [2.5, 4.5, 10.5, 12.5])
    np.testing.assert_allclose(grid_mean(patches, (4, 4), 1)[0], [7.5])
    # Three cells over four patches: the first holds one and a third of a line.
    rows = grid_mean(jnp.repeat(jnp.arange(4.0), 4).reshape(1, 16, 1), (4, 4), 3)[0, ::3]
    np.testing.assert_allclose(rows, [0.25, 1.5, 2.75], rtol=1e-6)


@pytest.mark.parametrize(
    "field", [dict(features="p"), dict(pooling="max"), dict(query="rep"), dict(cells=0)]
)
def test_bad_settings_are_refused(field):
    with pytest.raises(UserError, match=f"classifier.{next(iter(field))}="):
        ClassifierConfig(**field)

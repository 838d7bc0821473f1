import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.finetuning.losses import class_loss, class_weights, mixup


def test_balanced_weights_give_classes_equal_sums():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3, "balanced")
    np.testing.assert_allclose(weights * [6, 3, 1], [10 / 3] * 3, rtol=1e-6)
    np.testing.assert_array_equal(class_weights(labels, 3, "none"), [1, 1, 1])


def test_losses_by_hand():
    logits = jnp.log(jnp.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]))
    targets, weights = jnp.array([[1.0, 0, 0], [0, 0, 1]]), jnp.array([1.0, 1, 2])
    np.testing.assert_allclose(
        class_loss(logits, targets, weights), [-np.log(0.7), -2 * np.log(0.1)], rtol=1e-5
    )
    focal = class_loss(logits, targets, weights, focal=2.0)
    expected = [-(0.3**2) * np.log(0.7), -2 * 0.9**2 * np.log(0.1)]
    np.testing.assert_allclose(focal, expected, rtol=1e-5)


@pytest.mark.parametrize("focal", [0.5, 2.0])
def test_focal_gradients_are_finite_at_certainty(focal):
    grad = jax.grad(lambda x: class_loss(x, jnp.eye(2)[:1], jnp.ones(2), focal=focal).sum())
    assert np.isfinite(grad(jnp.array([[40.0, -40.0]]))).all()


def test_mixup_mixes_samples_and_labels_alike():
    targets = jnp.eye(8)
    x = targets[:, None, :] * 10
    mixed, labels = jax.jit(mixup, static_argnums=3)(jax.random.key(0), x, targets, 0.8)
    np.testing.assert_allclose(mixed[:, 0] / 10, labels, rtol=1e-6)
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    assert (jnp.diagonal(labels) >= 0.5).all()
    assert (labels.max(1) < 1).any()
    assert mixup(jax.random.key(0), x, targets, 0.0)[0] is x

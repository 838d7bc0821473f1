"""Losses of a classifier with few and uneven classes."""

import jax
import jax.numpy as jnp
import numpy as np


def class_weights(labels: np.ndarray, classes: int, kind: str) -> np.ndarray:
    """Returns the weight of a sample of each class, float32 [classes]; on average 1.

    Args:
      labels: class indices of the training samples, all classes among them.
      kind: `balanced`, the weights of each class add up to the same; `none`, all are 1.
    """
    if kind == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * counts)).astype(np.float32)


def class_loss(logits, targets, weights, *, focal: float = 0.0):
    """Returns the weighted cross-entropy, or focal loss (Lin et al. 2017), of each sample.

    Args:
      logits: float32 [B, C].
      targets: shares of the classes, [B, C]; mixed samples have two.
      weights: of the classes, [C].
      focal: γ: a class's part of the loss is multiplied by (1 - p)^γ; 0 is cross-entropy.

    Returns:
      float32 [B].
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    # At p = 1 a power γ below 1 has no finite slope: gradients would be NaN.
    easy = jnp.maximum(-jnp.expm1(log_p), 1e-6) ** focal if focal else 1.0
    return -jnp.sum(targets * weights * easy * log_p, axis=-1)


def unit_weights(targets: np.ndarray, kind: str) -> np.ndarray:
    """Returns the weight of a clip that shows each unit, float32 [U].

    Args:
      targets: of the training samples, [n, U] of 0 and 1, both in every column.
      kind: as in `class_weights`, of clips with and without the unit.
    """
    if kind == "none":
        return np.ones(targets.shape[1], np.float32)
    return (0.5 / targets.mean(0)).astype(np.float32)


def unit_loss(logits, targets, weights, *, focal: float = 0.0):
    """Returns the weighted binary cross-entropy of each sample, the mean over units.

    Args:
      logits: float32 [B, U].
      targets: of 0 and 1, or mixed, [B, U].
      weights: of `unit_weights`, [U]; clips without a unit have the weight w / (2 w - 1), with
        which both kinds of clips count the same in sum.
      focal: as in `class_loss`.

    Returns:
      float32 [B].
    """

    def part(logits):
        log_p = jax.nn.log_sigmoid(logits)
        easy = jnp.maximum(-jnp.expm1(log_p), 1e-6) ** focal if focal else 1.0
        return -easy * log_p

    without = weights / (2 * weights - 1)
    losses = targets * weights * part(logits) + (1 - targets) * without * part(-logits)
    return losses.mean(axis=-1)


def mixup(key, x, targets, alpha: float):
    """Mixes each sample with another of its batch (Zhang et al. 2018), the larger part its own.

    Args:
      x: [B, ...].
      targets: [B, C].
      alpha: shares are drawn from Beta(α, α); 0 mixes nothing.
    """
    if not alpha:
        return x, targets
    share_key, partner_key = jax.random.split(key)
    share = jax.random.beta(share_key, alpha, alpha, (x.shape[0],))
    share = jnp.maximum(share, 1 - share)
    partner = jax.random.permutation(partner_key, x.shape[0])

    def mix(a):
        own = share.reshape(-1, *[1] * (a.ndim - 1))
        return own * a + (1 - own) * a[partner]

    return mix(x), mix(targets)

"""Folds as arrays: padded lists of samples, and statistics of the training samples."""

from collections.abc import Sequence

import flax
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.finetuning.folds import Fold
from micron_jax.finetuning.losses import class_weights, unit_weights


@flax.struct.dataclass
class FoldArrays:
    """Folds under seeds, [R] along the first axis of every array; or one of them, without it.

    Attributes:
      train, validation, test: indices of samples, int32 [R, n]; padded to one length.
      train_count, validation_count, test_count: lengths before the padding, int32 [R].
      mean, deviation: of the features of the training samples, float32 [R, F].
      weights: of the classes or units, from the training samples, float32 [R, C].
    """

    key: jax.Array
    train: jax.Array
    train_count: jax.Array
    validation: jax.Array
    validation_count: jax.Array
    test: jax.Array
    test_count: jax.Array
    mean: jax.Array
    deviation: jax.Array
    weights: jax.Array

    def __getitem__(self, numbers) -> "FoldArrays":
        """The folds of these numbers; of one number, that fold without the axis."""
        return jax.tree.map(lambda array: array[numbers], self)


@flax.struct.dataclass
class SharedArrays:
    """Arrays that all folds share.

    Attributes:
      backbone: parameters of the networks as training starts.
      samples: {"features": float32 [n, V, T, F]} of a frozen backbone (V versions of each pair,
        the pair as it is first); else {"onset", "apex": uint8 [n, S, S, 3]}.
      labels: class indices, int32 [n]; of action units 0 and 1, float32 [n, U].
    """

    backbone: dict
    samples: dict
    labels: jax.Array


def stack_folds(
    folds: Sequence[Fold],
    seeds: Sequence[int],
    features,
    labels,
    *,
    classes: int,
    weighting: str = "balanced",
) -> FoldArrays:
    """Returns all folds under all seeds, seed by seed, on the host.

    Args:
      features: float32 [n, V, T, F], of the backbone as it starts.
      labels: class indices, [n]; or of action units 0 and 1, [n, U].
      weighting: of the classes, see `losses.class_weights`.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    first = features.mean(axis=(1, 2))
    second = np.square(features).mean(axis=(1, 2))
    mean = np.stack([first[list(fold.train)].mean(0) for fold in folds])
    square = np.stack([second[list(fold.train)].mean(0) for fold in folds])
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    # A feature that is (nearly) constant in training must not explode on a test sample.
    deviation = np.maximum(deviation, 0.01 * deviation.mean(axis=1, keepdims=True) + 1e-9)
    if labels.ndim == 2:
        weights = [unit_weights(labels[list(fold.train)], weighting) for fold in folds]
    else:
        weights = [class_weights(labels[list(fold.train)], classes, weighting) for fold in folds]
    arrays = {
        "mean": mean.astype(np.float32),
        "deviation": deviation.astype(np.float32),
        "weights": np.stack(weights),
    }
    for name in ("train", "validation", "test"):
        arrays[name], arrays[f"{name}_count"] = _padded([getattr(fold, name) for fold in folds])
    keys = [
        jax.random.fold_in(jax.random.key(seed), number)
        for seed in seeds
        for number in range(len(folds))
    ]
    repeated = {name: np.concatenate([array] * len(seeds)) for name, array in arrays.items()}
    return FoldArrays(key=jnp.stack(keys), **repeated)


def _padded(lists: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists as int32 [R, longest], filled up with their own first, and their lengths [R]."""
    longest = max(1, *(len(items) for items in lists))
    filled = [[*items, *([items[0] if items else 0] * (longest - len(items)))] for items in lists]
    return np.array(filled, np.int32), np.array([len(items) for items in lists], np.int32)

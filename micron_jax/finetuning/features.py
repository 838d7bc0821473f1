"""Features of a frozen backbone, computed once; a cache of arrays in the workdir."""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.data.views import normalize
from micron_jax.finetuning import array_files
from micron_jax.finetuning.augment import AugmentConfig, augment_pairs
from micron_jax.finetuning.backbone import Backbone
from micron_jax.models.classifier import ClassifierConfig, PairFeatures

CACHE = "cache"
BATCH = 16  # pairs


def extract(
    backbone: Backbone,
    classifier: ClassifierConfig,
    onset: np.ndarray,
    apex: np.ndarray,
    *,
    augment: AugmentConfig,
    copies: int,
    seed: int,
    progress=lambda begins: begins,
) -> np.ndarray:
    """Computes the head's inputs for each pair, as it is and in augmented versions.

    Args:
      onset, apex: uint8 [n, S, S, 3].
      copies: number of versions beside the pair itself.
      progress: wraps the numbers of the batches, as `tqdm` does.

    Returns:
      float32 [n, 1 + copies, T, F], the pair as it is first.
    """
    network = PairFeatures(backbone.model, classifier)

    @jax.jit
    def plain(params, onset, apex):
        bound = network.bind({"params": {"backbone": params}})
        return bound(normalize(onset), normalize(apex))

    @jax.jit
    def augmented(params, onset, apex, key):
        return plain(params, *augment_pairs(key, onset, apex, augment))

    params = jax.tree.map(jnp.asarray, backbone.params)
    count, features = len(onset), []
    batch = min(BATCH, count)
    for begin in progress(range(0, count, batch)):
        index = np.arange(begin, begin + batch) % count  # a last batch repeats the first pairs
        pair = onset[index], apex[index]
        versions = [plain(params, *pair)]
        for copy in range(copies):
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), copy), begin)
            versions.append(augmented(params, *pair, key))
        features.append(np.stack([np.asarray(version) for version in versions], axis=1))
    return np.concatenate(features)[:count]


def cached(
    workdir: Path, name: str, key: dict, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Reads the arrays of `make()` from the workdir, or makes them and writes them there.

    Args:
      name: of the file below `CACHE`.
      key: all that the arrays depend on, as JSON; another key makes the arrays again.

    Raises:
      UserError: the file cannot be written.
    """
    path, text = workdir / CACHE / f"{name}.npz", json.dumps(key, sort_keys=True)
    arrays = array_files.read(path) or {}
    if str(arrays.pop("key", "")) == text:
        return arrays
    arrays = make()
    array_files.save(path, key=text, **arrays)
    return arrays


def motion_maps(backbone: Backbone, onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Maps the motion in pairs, uint8 [n, S, S, 3] twice -> float32 [n, g, g].

    The length of the displacement in px, of a model that knows it; the symmetric map of others.
    """
    network = PairFeatures(backbone.model, ClassifierConfig())

    @jax.jit
    def maps(params, onset, apex):
        bound = network.bind({"params": {"backbone": params}})
        return bound.motion_map(normalize(onset), normalize(apex))

    grid = onset.shape[1] // backbone.model.patch_size
    return np.asarray(maps(backbone.params, onset, apex), np.float32).reshape(-1, grid, grid)

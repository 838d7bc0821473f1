"""Features of a frozen backbone: computed once, batch by batch, and kept in the workdir."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.data.views import normalize
from micron_jax.files import write_whole
from micron_jax.finetuning.augment import AugmentConfig, augment_pairs
from micron_jax.models.classifier import ClassifierConfig, PairFeatures
from micron_jax.models.config import ModelConfig

CACHE = "cache"
BATCH = 16  # pairs


def extract(
    model: ModelConfig,
    classifier: ClassifierConfig,
    backbone: dict,
    onset: np.ndarray,
    apex: np.ndarray,
    *,
    augment: AugmentConfig,
    copies: int,
    seed: int,
    progress=lambda begins: begins,
) -> np.ndarray:
    """What the head gets of each pair, as it is and in augmented versions.

    Args:
      model, classifier: the configs.
      backbone: {encoder, dma}.
      onset, apex: uint8 [n, S, S, 3].
      augment: how the versions differ.
      copies: how many there are beside the pair itself.
      seed: of the versions.
      progress: wraps the numbers of the batches, as `tqdm` does.

    Returns:
      float32 [n, 1 + copies, T, F], the pair as it is first.
    """
    network = PairFeatures(model, classifier)

    @jax.jit
    def plain(backbone, onset, apex):
        return network.apply({"params": {"backbone": backbone}}, normalize(onset), normalize(apex))

    @jax.jit
    def changed(backbone, onset, apex, key):
        return plain(backbone, *augment_pairs(key, onset, apex, augment))

    backbone = jax.tree.map(jnp.asarray, backbone)
    count, found = len(onset), []
    batch = min(BATCH, count)
    for begin in progress(range(0, count, batch)):
        at = np.arange(begin, begin + batch) % count  # a last batch goes on with the first pairs
        pair = onset[at], apex[at]
        versions = [plain(backbone, *pair)]
        for copy in range(copies):
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), copy), begin)
            versions.append(changed(backbone, *pair, key))
        found.append(np.stack([np.asarray(version) for version in versions], axis=1))
    return np.concatenate(found)[:count]


def cached(
    workdir: Path, name: str, key: dict, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Arrays that `make()` gives, read from the workdir if they were made there from the same key.

    Args:
      workdir: of the run.
      name: of the file below `CACHE`.
      key: all that the arrays depend on, as JSON holds it.
      make: computes them.
    """
    path, text = workdir / CACHE / f"{name}.npz", json.dumps(key, sort_keys=True)
    try:
        with np.load(path) as file:
            arrays = dict(file)
            if str(arrays.pop("key")) == text:
                return arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # none yet, or not whole
    arrays = make()
    data = io.BytesIO()
    np.savez(data, key=text, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.getvalue())
    return arrays


def heat_maps(model: ModelConfig, backbone: dict, onset: np.ndarray, apex: np.ndarray):
    """The symmetric heat of pairs, uint8 [n, S, S, 3] twice -> float32 [n, g, g]."""
    network = PairFeatures(model, ClassifierConfig())

    @jax.jit
    def heat(backbone, onset, apex):
        frames = normalize(onset), normalize(apex)
        return network.apply({"params": {"backbone": backbone}}, *frames, method="heat")

    grid = onset.shape[1] // model.patch_size
    return np.asarray(heat(backbone, onset, apex), np.float32).reshape(-1, grid, grid)

"""The jitted step from frames to features, and its loop over batches.

A row's partner may lie in an earlier batch: the tokens of the last rows, W of them, stay on the
device as the step's window. Which row it is, the host knows.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.data.views import normalize
from micron_jax.extraction.batches import Batch
from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import bound
from micron_jax.training.sharding import batch_sharding

FEATURES = ("tokens", "cls", "pooled", "dma")


@functools.cache
def make_step(config: ModelConfig, what: tuple[str, ...], mesh: Mesh) -> Callable:
    """Returns the jitted step(params, window, images, partners) -> (window, features).

    Images are uint8 [B, S, S, 3], the window is [W, 1 + N, D], and partners are places among its
    rows and those of the batch after them, int32 [B]. The features are float32: `tokens` [B, N, D],
    `cls` [B, D], `pooled` (the mean of the patch tokens) [B, D] and `dma` [B, N, D], P_dma of each
    row as frame t + δ and its partner as frame t.

    Args:
      mesh: over which a batch is spread; parameters and window are on every device.
    """

    def step(params, window, images, partners):
        module = bound(config, params)
        tokens = module.encode(normalize(images))
        wide = tokens.astype(jnp.float32)
        features = {"tokens": wide[:, 1:], "cls": wide[:, 0], "pooled": wide[:, 1:].mean(axis=1)}
        if "dma" in what:
            line = jnp.concatenate([window, tokens])
            earlier, window = line[partners], line[len(tokens) :]
            features["dma"] = module.attend(earlier, tokens).astype(jnp.float32)
        return window, {name: features[name] for name in what}

    everywhere, spread = NamedSharding(mesh, P()), batch_sharding(mesh)
    return jax.jit(
        step,
        in_shardings=(everywhere, everywhere, spread, spread),
        out_shardings=(everywhere, spread),
        donate_argnums=1,
    )


def compute_features(
    step: Callable, params: dict, window: jax.Array, batches: Iterator[Batch]
) -> Iterator[tuple[Batch, dict[str, np.ndarray]]]:
    """Runs the step over batches; reading, computing and fetching overlap.

    Yields:
      (batch, features of its rows), without the warm ones.
    """
    waiting, reach = None, len(window)
    for batch in _read_ahead(batches):
        window, features = step(params, window, batch.images, batch.partners(reach))
        if waiting:
            yield _fetch(*waiting)
        waiting = None if batch.warm else (batch, features)
    if waiting:
        yield _fetch(*waiting)


def _fetch(batch: Batch, features: dict) -> tuple[Batch, dict[str, np.ndarray]]:
    rows = len(batch.number)
    return batch, {name: value[:rows] for name, value in jax.device_get(features).items()}


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yields the same; a thread makes the next batch while this one is used."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, batches, None)
        while (batch := future.result()) is not None:
            future = pool.submit(next, batches, None)
            yield batch

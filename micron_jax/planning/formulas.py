"""What a train step needs by arithmetic, with nothing compiled."""

import math

import jax

from micron_jax.planning.hlo import Collective
from micron_jax.training.recipe import PretrainConfig


def activation_bytes(config: PretrainConfig) -> float:
    """Bytes that a sample keeps between the forward and the backward pass, an estimate.

    A block keeps 16 values a token and channel (two norms and their outputs, q, k, v, what goes
    into the two projections, and 4 + 4 of the MLP; Korthikanti et al. 2022, arXiv 2205.05198,
    without dropout) and, unless attention is fused, its weights, float32 [heads, N, N].
    """
    m, views = config.model, config.views
    item = 2 if m.dtype == "bfloat16" else 4

    def blocks(tokens: int, width: int, depth: int, heads: int) -> float:
        weights = 0 if m.attention == "cudnn" else 4 * heads * tokens**2
        return depth * (16 * item * tokens * width + weights)

    def encoding(side: int) -> float:
        return blocks((side // m.patch_size) ** 2 + 1, m.width, m.depth, m.heads)

    kept = 2 * encoding(m.img_size)
    kept += blocks(m.grid**2, m.decoder_width, m.decoder_depth, m.decoder_heads)
    if config.objective.agreement == "dino":
        kept += views.global_crops * encoding(m.img_size)
    if config.objective.agreement != "none":
        kept += views.local_crops * encoding(views.local_size)
    return kept


def exchanged(parameter_bytes: int, mesh: dict[str, int]) -> list[Collective]:
    """What a step must exchange: the gradients and, with fsdp, the parameters twice."""
    found, data, fsdp = [], mesh["data"], mesh["fsdp"]
    if data > 1:
        found.append(Collective("all-reduce", data, 1, parameter_bytes // fsdp))
    if fsdp > 1:
        found.append(Collective("all-gather", fsdp, 2, 2 * parameter_bytes))
        found.append(Collective("reduce-scatter", fsdp, 1, parameter_bytes))
    return found


def device_bytes(shapes) -> int:
    """Bytes a device holds of `ShapeDtypeStruct`s with shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(shapes)
    )

"""Memory, arithmetic and traffic of a train step by formulas, with nothing compiled."""

import math

import jax

from micron_jax.planning.hlo import Collective
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import train_flops

# Values a token and channel that a block stores for the backward pass, by `ModelConfig.remat`: all
# (two norms and their outputs, q, k, v, the inputs of the two projections, and 4 + 4 of the MLP;
# Korthikanti et al. 2022, arXiv 2205.05198, without dropout); its input and the results of its
# products with weights (3 + 1 + 4 + 1); its input.
_STORED = {"none": 16, "dots": 10, "blocks": 1}


def _stacks(config: PretrainConfig) -> list[tuple[int, int, int, int, int]]:
    """Stacks of blocks that give a sample's gradients: times, tokens, width, depth, heads."""
    m, views, agreement = config.model, config.views, config.objective.agreement
    images = [(2, m.img_size)]
    if agreement == "dino":
        images.append((views.global_crops, m.img_size))
    if agreement != "none":
        images.append((views.local_crops, views.local_size))
    stacks = [
        (times, (side // m.patch_size) ** 2 + 1, m.width, m.depth, m.heads)
        for times, side in images
    ]
    return [*stacks, (1, m.grid**2, m.decoder_width, m.decoder_depth, m.decoder_heads)]


def activation_bytes(config: PretrainConfig) -> float:
    """Estimates the bytes of a sample that wait between the forward and the backward pass.

    A whole block stores its attention's weights, too, float32 [heads, N, N], unless attention is
    fused. With `remat` one whole block, the largest, is there besides the stored values of all.
    """
    m = config.model
    item = 2 if m.dtype == "bfloat16" else 4
    stored, largest = 0.0, 0.0
    for times, tokens, width, depth, heads in _stacks(config):
        weights = 0 if m.attention == "cudnn" else 4 * heads * tokens**2
        whole = _STORED["none"] * item * tokens * width + weights
        each = whole if m.remat == "none" else _STORED[m.remat] * item * tokens * width
        stored += times * depth * each
        largest = max(largest, whole)
    return stored if m.remat == "none" else stored + largest


def view_bytes(config: PretrainConfig) -> float:
    """Bytes of a sample's views, float32."""
    side, views = config.model.img_size, config.views
    crops = views.global_crops * side**2 + views.local_crops * views.local_size**2
    return 4.0 * 3 * (3 * side**2 + crops)


def recomputed_flops(config: PretrainConfig) -> float:
    """FLOPs of a sample that `remat` adds to `train_flops`.

    `blocks` goes forward a second time, a third of a training step; `dots` through the two products
    of attention.
    """
    if config.model.remat == "none":
        return 0.0
    if config.model.remat == "blocks":
        return train_flops(config.model, config.views, config.objective) / 3
    return sum(4.0 * times * depth * n**2 * width for times, n, width, depth, _ in _stacks(config))


def exchanged(parameter_bytes: int, mesh: dict[str, int]) -> list[Collective]:
    """Collectives that a step needs: the gradients and, with fsdp, the parameters twice."""
    data, fsdp = mesh["data"], mesh["fsdp"]
    collectives = [
        Collective("all-reduce", data, 1, parameter_bytes // fsdp),
        Collective("all-gather", fsdp, 2, 2 * parameter_bytes),
        Collective("reduce-scatter", fsdp, 1, parameter_bytes),
    ]
    return [collective for collective in collectives if collective.group > 1]


def device_bytes(shapes) -> int:
    """Bytes a device holds of `ShapeDtypeStruct`s with shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(shapes)
    )

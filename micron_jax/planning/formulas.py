"""What a train step needs by arithmetic, with nothing compiled."""

import math

import jax

from micron_jax.planning.hlo import Collective
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import train_flops

# Values a token and channel that a block keeps for the backward pass, by `ModelConfig.remat`: all
# (two norms and their outputs, q, k, v, what goes into the two projections, and 4 + 4 of the MLP;
# Korthikanti et al. 2022, arXiv 2205.05198, without dropout); its input and the results of its
# products with weights (3 + 1 + 4 + 1); its input.
_KEPT = {"none": 16, "dots": 10, "blocks": 1}


def _stacks(config: PretrainConfig) -> list[tuple[int, int, int, int, int]]:
    """What of a sample gets gradients, as stacks of blocks: times, tokens, width, depth, heads."""
    m, views = config.model, config.views

    def encoder(times: int, side: int) -> tuple[int, int, int, int, int]:
        return times, (side // m.patch_size) ** 2 + 1, m.width, m.depth, m.heads

    stacks = [encoder(2, m.img_size)]
    stacks.append((1, m.grid**2, m.decoder_width, m.decoder_depth, m.decoder_heads))
    if config.objective.agreement == "dino":
        stacks.append(encoder(views.global_crops, m.img_size))
    if config.objective.agreement != "none":
        stacks.append(encoder(views.local_crops, views.local_size))
    return stacks


def activation_bytes(config: PretrainConfig) -> float:
    """Bytes that a sample keeps between the forward and the backward pass, an estimate.

    A whole block keeps its attention's weights, too, float32 [heads, N, N], unless attention is
    fused. With `remat` one whole block, the largest, is there besides what all of them keep.
    """
    m = config.model
    item = 2 if m.dtype == "bfloat16" else 4
    kept, largest = 0.0, 0.0
    for times, tokens, width, depth, heads in _stacks(config):
        weights = 0 if m.attention == "cudnn" else 4 * heads * tokens**2
        whole = _KEPT["none"] * item * tokens * width + weights
        each = whole if m.remat == "none" else _KEPT[m.remat] * item * tokens * width
        kept += times * depth * each
        largest = max(largest, whole)
    return kept if m.remat == "none" else kept + largest


def view_bytes(config: PretrainConfig) -> float:
    """Bytes of a sample's views, float32, of the whole batch there at once."""
    side, views = config.model.img_size, config.views
    crops = views.global_crops * side**2 + views.local_crops * views.local_size**2
    return 4.0 * 3 * (3 * side**2 + crops)


def recomputed_flops(config: PretrainConfig) -> float:
    """FLOPs of a sample that `remat` adds to `train_flops`.

    `blocks` goes forward a second time, a third of a training step; `dots` through the two products
    of attention.
    """
    if config.model.remat == "blocks":
        return train_flops(config.model, config.views, config.objective) / 3
    if config.model.remat == "dots":
        return sum(
            4.0 * times * depth * tokens**2 * width
            for times, tokens, width, depth, _ in _stacks(config)
        )
    return 0.0


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

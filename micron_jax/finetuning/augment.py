"""Augmentation of pairs of frames on the device, alike for the onset and the apex."""

import dataclasses

import jax
import jax.numpy as jnp

from micron_jax.checks import at_least, within


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Limits of the changes to both frames of a pair, which leave their differences as they are.

    Attributes:
      shift: largest shift along each axis, as a share of the side.
      crop: smallest part of the side that is shown, enlarged to the whole.
      brightness: levels are multiplied by a factor within 1 ± this.
      copies: with a frozen backbone, the number of augmented versions of each pair that are
        computed once beside the pair itself; training draws among all of them.
    """

    flip: bool = True
    shift: float = 0.03
    crop: float = 0.92
    brightness: float = 0.15
    copies: int = 8

    def __post_init__(self):
        within("config.augment", self, shift=(0, 0.5), crop=(0.1, 1), brightness=(0, 1))
        at_least("config.augment", self, copies=0)


def augment_pairs(key, onset, apex, config: AugmentConfig):
    """Flips, crops, shifts and lights pairs at random, both frames of a pair in one way.

    Bilinear; beyond a frame's border that border goes on.

    Args:
      onset, apex: uint8 or float [B, S, S, 3], levels of 0..255.

    Returns:
      float32 [B, S, S, 3] twice, levels of 0..255.
    """
    batch, side = onset.shape[:2]
    pairs = jnp.stack([onset, apex], axis=1).astype(jnp.float32)
    flip_key, crop_key, shift_key, light_key = jax.random.split(key, 4)
    zoom = jax.random.uniform(crop_key, (batch, 1), minval=config.crop, maxval=1.0)
    reach = config.shift * side
    shift = jax.random.uniform(shift_key, (batch, 2), minval=-reach, maxval=reach)
    along = jnp.arange(side) - (side - 1) / 2
    places = zoom[..., None] * along + shift[..., None] + (side - 1) / 2  # [B, 2, S]: rows, columns
    mirror = config.flip & jax.random.bernoulli(flip_key, 0.5, (batch, 1))
    places = places.at[:, 1].set(jnp.where(mirror, side - 1 - places[:, 1], places[:, 1]))
    places = jnp.clip(places, 0, side - 1)
    weights = jnp.maximum(1 - jnp.abs(places[..., None] - jnp.arange(side)), 0)
    moved = jnp.einsum(
        "byh,bxw,bphwc->bpyxc", weights[:, 0], weights[:, 1], pairs, precision="highest"
    )
    gain = jax.random.uniform(light_key, (batch,), minval=-1.0, maxval=1.0) * config.brightness + 1
    lit = jnp.clip(moved * gain[:, None, None, None, None], 0, 255)
    return lit[:, 0], lit[:, 1]

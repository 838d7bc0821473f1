"""Augmentation of a pair, on the device: what happens to the onset happens to the apex."""

import dataclasses

import jax
import jax.numpy as jnp

from micron_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """How far both frames of a pair are changed, alike, so that what differs stays what it was.

    Attributes:
      flip: mirror half of the pairs.
      shift: largest shift along each axis, as a share of the side.
      crop: smallest part of the side that is shown, enlarged to the whole.
      brightness: levels are multiplied by a factor within 1 ± this.
      copies: with a frozen backbone, how many augmented versions of each pair are computed, once,
        beside the pair as it is; training draws among all of them. 0: none.
    """

    flip: bool = True
    shift: float = 0.03
    crop: float = 0.92
    brightness: float = 0.15
    copies: int = 8

    def __post_init__(self):
        for field, least, most in (("shift", 0, 0.5), ("crop", 0.1, 1), ("brightness", 0, 1)):
            if not least <= getattr(self, field) <= most:
                raise UserError(
                    f"augment.{field}={getattr(self, field)}: must lie in {least}..{most}"
                )
        if self.copies < 0:
            raise UserError(f"augment.copies={self.copies}: must be 0 or more")


def augment_pairs(key, onset, apex, config: AugmentConfig):
    """Pairs, each changed by chance in one way for both of its frames.

    Bilinear; beyond a frame's border that border goes on.

    Args:
      key: of these pairs.
      onset, apex: uint8 or float [B, S, S, 3], levels of 0..255.
      config: how far.

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

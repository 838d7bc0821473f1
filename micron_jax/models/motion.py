"""The motion of a face between two frames, patch by patch, and what may be said of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LEAST = 0.1  # px: shorter displacements are within the noise
ERRORS = 2.0  # scales: the mean length of an error of the Laplace distribution in the plane
MOVED = 0.2  # px: of `Motion.moved`
UNSURE = 1.0  # px: of the noise floor of half of the patches
# Errors of scale 1, all equally likely: quantiles of their length (a Gamma distribution of shape 2,
# at odd 28ths) times ways around.
_LENGTHS = (0.29, 0.55, 0.76, 0.96, 1.16, 1.36, 1.57, 1.80, 2.05, 2.34, 2.69, 3.14, 3.80, 5.15)
_WAYS = np.arange(12) * (2 * np.pi / 12)
_ERRORS = np.stack(
    [np.multiply.outer(_LENGTHS, wave(_WAYS)).ravel() for wave in (np.cos, np.sin)], axis=-1
).astype(np.float32)


class Motion(NamedTuple):
    """The motion of the patches of a reference until another frame of the same face, px.

    Attributes:
      displacement: of the face's own, (x, y), float32 [B, h, w, 2].
      scale: of its error: errors of length e have the density exp(-e / scale) · e / scale² (the
        Laplace distribution in the plane), float32 [B, h, w].
      head: the motion of the head, which is not in the displacement, float32 [B, h, w, 2].
      own: the face's own motion as it was found, noise included: the displacement is shorter where
        the noise may explain it, float32 [B, h, w, 2].
    """

    displacement: jax.Array
    scale: jax.Array
    head: jax.Array
    own: jax.Array

    def __repr__(self) -> str:
        shapes = (f"{name} {x.dtype}{list(x.shape)}" for name, x in self._asdict().items())
        return f"Motion({', '.join(shapes)})"

    @property
    def length(self) -> jax.Array:
        """Length of the displacement, px, float32 [B, h, w]."""
        return jnp.linalg.norm(self.displacement, axis=-1)

    @property
    def floor(self) -> jax.Array:
        """The noise floor: the mean error to expect, at least `LEAST`, px, float32 [B, h, w]."""
        return jnp.maximum(LEAST, ERRORS * self.scale)

    @property
    def above_floor(self) -> jax.Array:
        """Length of the displacement where it is above the floor, else 0, px, float32 [B, h, w]."""
        return jnp.where(self.length > self.floor, self.length, 0.0)

    @property
    def lit(self) -> jax.Array:
        """The displacement where it is above the floor, else 0, px, float32 [B, h, w, 2]."""
        return jnp.where((self.length > self.floor)[..., None], self.displacement, 0.0)

    @property
    def unsure(self) -> jax.Array:
        """If the head moves too much to say what else moved: bool [B], or of one pair a bool."""
        return jnp.median(self.floor, axis=(-2, -1)) > UNSURE

    @property
    def moved(self) -> jax.Array:
        """The probability that a patch moved by more than `MOVED`, float32 [B, h, w]."""
        errors = jnp.asarray(_ERRORS) * self.scale[..., None, None]
        truths = self.displacement[..., None, :] + errors
        return (jnp.linalg.norm(truths, axis=-1) > MOVED).mean(axis=-1)

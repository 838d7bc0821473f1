"""The displacement branch: how far each patch of a face moved, in which direction, and how sure.

It is not the paper's. Least squares of the pixels follow all motion from coarse to fine
(`least_squares`). A network then refines it (`refinement`): it looks at what this first guess
leaves of the pixels, and weighs for every patch the patches around it, a micro-attention over a
neighborhood. The head's motion is fitted to patches that the branch itself weighs, and taken off
(`head_motion`). It learns from known motion, see `synthetic.known_pairs`.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement_numbers import motion_basis
from micron_jax.models.head_motion import fit_head
from micron_jax.models.layers import patchify
from micron_jax.models.least_squares import (
    absolute,
    change_left,
    detail,
    first_guess,
    fixed_answers,
    patch_moments,
    shared_motion,
)
from micron_jax.models.refinement import Readout, Refinement


class Estimate(NamedTuple):
    """The motion of the patches of a reference until another frame, float32.

    Attributes:
      guess: the first guess of all motion, from least squares alone, (x, y) in px, [B, h, w, 2].
      motion: a better one, likewise.
      own: the same without the head's.
      displacement: the best guess of the face's own: where it is within the noise, it is shorter.
      log_scale: logarithm of the scale of the displacement's error, px, [B, h, w]: its length has
        the density exp(-e / scale) · e / scale² (the Laplace distribution in the plane).
    """

    guess: jax.Array
    motion: jax.Array
    own: jax.Array
    displacement: jax.Array
    log_scale: jax.Array


class Displacement(nn.Module):
    """The displacement branch, always float32."""

    config: ModelConfig

    @nn.compact
    def __call__(self, images, reference) -> Estimate:
        """Estimates the motion from a reference to images.

        Args:
          images, reference: normalized frames, [B, H, W, 3]; sides are multiples of the patch.
        """
        c = self.config
        images, reference = (x.astype(jnp.float32) for x in (images, reference))
        details = detail(reference), detail(images)
        guess = jax.lax.stop_gradient(first_guess(*details, c.patch_size))
        batch, height, width, _ = guess.shape

        def embed(pixels, name: str):
            patches = patchify(pixels, c.patch_size).reshape(batch, height, width, -1)
            return nn.Dense(c.displacement_width // 2, name=name)(patches)

        products, change = jax.lax.stop_gradient(change_left(*details, guess))
        moments = patch_moments(products, c.patch_size)
        answers, facts = fixed_answers(moments)
        whole = absolute(moments, guess)
        answers = jnp.concatenate([answers, shared_motion(whole) - guess[:, :, :, None]], axis=3)
        texture = 0.3 * jnp.log(moments[..., (0, 2, 5)] + 1e-5).reshape(*guess.shape[:3], -1)
        place = jnp.broadcast_to(motion_basis(height, width)[..., 1:], (batch, height, width, 3))
        own = guess - fit_head(guess, jnp.ones(guess.shape[:3]))
        length = jnp.sqrt(jnp.square(own).sum(-1, keepdims=True) + 1e-6)
        seen = [
            place,
            embed(reference, "looks"),
            embed(jnp.moveaxis(change, 1, -1), "change"),
            facts,
            texture,
            answers.reshape(batch, height, width, -1),
            guess,
            own,
            length,
            jnp.log(length + 0.02),
        ]
        features, motion, own = Refinement(c, name="refinement")(
            jnp.concatenate(seen, axis=-1), guess, whole, answers
        )
        displacement, log_scale = Readout(name="readout")(features, jax.lax.stop_gradient(own))
        return Estimate(guess, motion, own, displacement, log_scale)

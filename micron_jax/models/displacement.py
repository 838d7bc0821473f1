"""The displacement branch: how far each patch of a face moved, in which direction, and how sure.

It is not the paper's. Least squares of the pixels follow all motion from coarse to fine
(`least_squares`). A few steps that share their weights then refine it (`refinement`): each looks at
what the present motion leaves of the pixels, and weighs for every patch the patches around it, a
micro-attention over a neighborhood. The head's motion is fitted to patches that the branch itself
weighs, and taken off (`head_motion`). It learns from known motion, see `synthetic.known_pairs`.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.head_motion import fit_head, motion_basis
from micron_jax.models.layers import patchify
from micron_jax.models.least_squares import (
    change_left,
    detail,
    first_guess,
    fixed_answers,
    patch_moments,
    pool,
)
from micron_jax.models.refinement import Readout, Refinement

_SMOOTH = (1.5, 4.0)  # patches: spreads over which a present motion is smoothed


class Estimate(NamedTuple):
    """The motion of the patches of a reference until another frame, float32.

    Attributes:
      motion: all of it, (x, y) in px, [B, h, w, 2].
      own: the same without the head's.
      displacement: the best guess of the face's own: where it is within the noise, it is shorter.
      log_scale: logarithm of the scale of the displacement's error, px, [B, h, w]: its length has
        the density exp(-e / scale) · e / scale² (the Laplace distribution in the plane).
    """

    motion: jax.Array
    own: jax.Array
    displacement: jax.Array
    log_scale: jax.Array


class Displacement(nn.Module):
    """The displacement branch, always float32."""

    config: ModelConfig

    @nn.compact
    def __call__(self, images, reference, *, steps: int | None = None) -> list[Estimate]:
        """Estimates after each step of the refinement, the last one being the best.

        Args:
          images, reference: normalized frames, [B, H, W, 3]; sides are multiples of the patch.
          steps: of the refinement; None: as in training.
        """
        c = self.config
        images, reference = (x.astype(jnp.float32) for x in (images, reference))
        details = detail(reference), detail(images)
        motion = jax.lax.stop_gradient(first_guess(*details, c.patch_size))
        batch, height, width, _ = motion.shape

        def embed(pixels, name: str):
            patches = patchify(pixels, c.patch_size).reshape(batch, height, width, -1)
            return nn.Dense(c.displacement_width // 2, name=name)(patches)

        place = jnp.broadcast_to(motion_basis(height, width)[..., 1:], (batch, height, width, 3))
        looks = embed(reference, "looks")
        embed_change = nn.Dense(c.displacement_width // 2, name="change")
        refine, readout = Refinement(c, name="refinement"), Readout(name="readout")
        hidden = jnp.zeros((batch, height, width, c.displacement_width))
        estimates = []
        for _ in range(steps or c.displacement_steps):
            motion = jax.lax.stop_gradient(motion)
            products, change = jax.lax.stop_gradient(change_left(*details, motion))
            moments = patch_moments(products, c.patch_size)
            answers, facts = fixed_answers(moments)
            smooth = [pool(motion, spread) - motion for spread in _SMOOTH]
            answers = jnp.concatenate([answers, jnp.stack(smooth, axis=3)], axis=3)
            texture = 0.3 * jnp.log(moments[..., (0, 2, 5)] + 1e-5).reshape(*motion.shape[:3], -1)
            left = patchify(jnp.moveaxis(change, 1, -1), c.patch_size)
            seen = [
                place,
                looks,
                embed_change(left.reshape(batch, height, width, -1)),
                facts,
                texture,
                answers.reshape(batch, height, width, -1),
                motion,
                motion - fit_head(motion, jnp.ones(motion.shape[:3])),
            ]
            hidden, motion, own = refine(
                jnp.concatenate([hidden, *seen], axis=-1), motion, moments, answers
            )
            displacement, log_scale = readout(hidden, jax.lax.stop_gradient(own))
            estimates.append(Estimate(motion, own, displacement, log_scale))
        return estimates

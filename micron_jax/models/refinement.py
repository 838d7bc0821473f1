"""The network of the displacement branch: a better motion from what the first guess leaves."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement_numbers import APART, FALL, REACH, widths
from micron_jax.models.head_motion import fit_head
from micron_jax.models.layers import layer_norm
from micron_jax.models.least_squares import enlarge, neighbors, solve


class Block(nn.Module):
    """Two convolutions of 3 × 3 patches beside the identity."""

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        y = nn.gelu(nn.Conv(width, (3, 3), name="first")(layer_norm("norm", jnp.float32)(x)))
        return x + nn.Conv(width, (3, 3), name="second")(y)


class UNet(nn.Module):
    """Features of each patch from all of the face, at one, two and four times its side.

    The family is U-Net's (arXiv 1505.04597).
    """

    width: int

    @nn.compact
    def __call__(self, x):
        """[B, h, w, F] -> [B, h, w, width]."""
        of_levels = widths(self.width)
        x = Block(name="in")(nn.Dense(self.width, name="enter")(x))
        fine = [x]
        for level, width in enumerate(of_levels[1:], 1):
            x = nn.Conv(width, (2, 2), strides=2, name=f"down_{level}")(x)
            x = Block(name=f"block_{level}")(x)
            fine.append(x)
        # All of the face: how noisy the frames are, and how far the head moves.
        whole = nn.gelu(nn.Dense(2 * of_levels[-1], name="gather")(x.mean((1, 2), keepdims=True)))
        x = x + nn.Dense(of_levels[-1], name="scatter")(whole)
        for level in range(len(of_levels) - 2, -1, -1):
            x = enlarge(nn.Dense(of_levels[level], name=f"up_{level}")(x), *fine[level].shape[1:3])
            x = Block(name=f"out_{level}")(x + fine[level])
        return layer_norm("norm", jnp.float32)(x)


class Refinement(nn.Module):
    """A better motion than the first guess."""

    config: ModelConfig

    @nn.compact
    def __call__(self, seen, motion, moments, answers):
        """Returns (features of each patch, all motion, that less the head's).

        [B, h, w, width], and [B, h, w, 2] twice.

        Args:
          seen: all that is known of each patch, [B, h, w, F].
          motion: the first guess, px, [B, h, w, 2].
          moments: about no motion, see `least_squares.absolute`.
          answers: how far it could be changed, px, [B, h, w, K, 2].
        """
        last = UNet(self.config.displacement_width, name="unet")(seen)
        small = nn.initializers.normal(0.01)
        logits = nn.Dense(len(APART) * len(FALL), kernel_init=small, name="neighbors")(last)
        attended = _attend(jnp.split(logits, len(APART), axis=-1), moments)
        answers = jnp.concatenate([answers, attended - motion[:, :, :, None]], axis=3)
        # The answers are mixed, patch by patch; the last weight is for none of them.
        first = np.float32([0] * answers.shape[3] + [3])
        out = nn.Dense(4 + len(first), kernel_init=small, name="out")(last)
        mixture = nn.softmax(out[..., 4:] + first, axis=-1)[..., :-1]
        motion = motion + out[..., :2] + jnp.einsum("bhwk,bhwkd->bhwd", mixture, answers)
        rigid = nn.softplus(out[..., 2] + 1) + 1e-3  # how much a patch tells of the head
        relief = 0.3 * out[..., 3]  # of this face, which the mean one does not have
        return last, motion, motion - fit_head(motion, rigid, relief)


class Readout(nn.Module):
    """The best guess of a displacement from one that holds noise, and the scale of its error.

    It has a loss of its own: were its gradient that of the motion, a network that knows little yet
    would learn to say nothing.
    """

    @nn.compact
    def __call__(self, features, own):
        """[B, h, w, F], [B, h, w, 2] px -> (displacement [B, h, w, 2], log scale [B, h, w])."""
        length = jnp.sqrt(jnp.square(own).sum(-1, keepdims=True) + 1e-6)
        usual = jnp.sqrt(jnp.square(length).mean((1, 2), keepdims=True))
        ratio = jnp.log((length + 0.02) / (usual + 0.02))
        x = jnp.concatenate([features, own, length, jnp.log(length + 0.02), ratio], axis=-1)
        x = nn.gelu(nn.Dense(48, name="enter")(x))
        x = nn.gelu(nn.Conv(48, (3, 3), name="around")(x))
        x = nn.Dense(4, kernel_init=nn.initializers.normal(0.01), name="out")(x)
        return own * nn.sigmoid(x[..., :1] + 1) + 0.3 * x[..., 1:3], x[..., 3]


def _attend(logits, moments):
    """Least squares over neighborhoods that weigh each patch around by its logits, [B, h, w, n]."""
    flat, answers = moments.reshape(*moments.shape[:3], -1), []
    for own, apart in zip(logits, APART, strict=True):
        weights = nn.softmax(own + FALL, axis=-1)
        sums = jnp.einsum("bhwn,bhwnf->bhwf", weights, neighbors(flat, REACH, apart))
        answers.append(solve(sums.reshape(moments.shape))[0])
    return jnp.concatenate(answers, axis=3)

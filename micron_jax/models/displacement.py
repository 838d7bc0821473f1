"""The displacement branch: how far each patch of a face moved, in which direction, and how sure.

It is not the paper's. Both frames give features on a grid of 4 px; each cell is scored against the
other frame's cells in a neighborhood (`neighborhood`), and a few steps that share their weights
refine the motion of all patches, from the scores about the present guess and from what the guess
leaves of the pixels (`least_squares`). The head's motion is fitted to patches that the branch
itself weighs, and taken off (`head_motion`). The family is RAFT's (arXiv 2003.12039), at a tenth of
its size. It learns from known motion, see `synthetic.known_pairs`.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.config import ModelConfig
from micron_jax.models.head_motion import fit_head, motion_basis
from micron_jax.models.layers import layer_norm
from micron_jax.models.least_squares import (
    detail,
    enlarge,
    fixed_answers,
    neighbors,
    patch_moments,
    solve,
)
from micron_jax.models.neighborhood import neighborhood_scores, read_scores

CELL = 4  # px: side of a cell of the features
REACH, APART = 2, (1, 2)  # patches: of the neighborhoods that the branch weighs itself
# Logits of the patches around, at first: a Gaussian of 1.4 patches.
_FALL = -np.add.outer(*[np.square(np.arange(-REACH, REACH + 1)) / 4] * 2).ravel().astype(np.float32)
_SHARPNESS = 8.0  # of the scores of features of length one


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
        height, width = (side // c.patch_size for side in images.shape[1:3])
        batch = images.shape[0]
        both = jnp.concatenate([reference, images]).astype(jnp.float32)
        features, context = FrameFeatures(c, name="features")(both)
        cells, others = jnp.split(features, 2)
        scores = _SHARPNESS * neighborhood_scores(cells, others, c.displacement_reach)
        details = [detail(x) for x in (reference, images)]

        context = nn.Dense(64, name="context")(jnp.concatenate(jnp.split(context, 2), axis=-1))
        place = motion_basis(height, width)[..., 1:]
        place = jnp.broadcast_to(place, (batch, *place.shape))
        context = jnp.concatenate([context, place], axis=-1)
        refine, readout = Refinement(c, name="refinement"), Readout(name="readout")
        hidden = jnp.tanh(nn.Dense(c.displacement_width, name="hidden")(context))
        motion = own = jnp.zeros((batch, height, width, 2))
        estimates = []
        for step in range(steps or c.displacement_steps):
            motion, own = jax.lax.stop_gradient((motion, own))
            about = read_scores(
                scores, enlarge(motion, *cells.shape[1:3]) / CELL, c.displacement_look
            )
            moments = jax.lax.stop_gradient(patch_moments(*details, motion, c.patch_size))
            answers, facts = fixed_answers(moments)
            flat = answers.reshape(*answers.shape[:3], -1)
            about = _per_patch(about, height, width)
            early = jnp.full((*motion.shape[:3], 1), 1 / (step + 1))
            seen = jnp.concatenate([early, about, flat, facts, motion, own], axis=-1)
            hidden, last, motion, own = refine(hidden, context, seen, motion, moments, answers)
            displacement, log_scale = readout(*jax.lax.stop_gradient((last, own)))
            estimates.append(Estimate(motion, own, displacement, log_scale))
        return estimates


class FrameFeatures(nn.Module):
    """Features of frames, cell by cell, and their context, patch by patch."""

    config: ModelConfig

    @nn.compact
    def __call__(self, images):
        """[B, H, W, 3] -> (features of length one [B, H / 4, W / 4, F], [B, h, w, F])."""
        width = self.config.displacement_features
        batch, height, wide, _ = images.shape
        x = images.reshape(batch, height // 2, 2, wide // 2, 2, 3).swapaxes(2, 3)
        x = x.reshape(batch, height // 2, wide // 2, 12)
        x = nn.gelu(nn.Conv(width // 2, (3, 3), name="stem")(x))
        x = nn.Conv(width, (3, 3), strides=2, name="down")(x)
        for i in range(2):
            y = layer_norm(f"norm_{i}", jnp.float32)(x)
            y = nn.gelu(nn.Conv(width, (3, 3), name=f"first_{i}")(y))
            x = x + nn.Conv(width, (3, 3), name=f"second_{i}")(y)
        x = layer_norm("norm", jnp.float32)(x)
        cells = nn.Dense(width, name="cells")(x)
        length = jnp.square(cells).sum(-1, keepdims=True)
        cells = cells * jax.lax.rsqrt(length + 1e-4)
        side = self.config.patch_size // CELL
        grid = height // self.config.patch_size, wide // self.config.patch_size
        return cells, x.reshape(batch, grid[0], side, grid[1], side, -1).mean((2, 4))


class Refinement(nn.Module):
    """One step of the refinement."""

    config: ModelConfig

    @nn.compact
    def __call__(self, hidden, context, seen, motion, moments, answers):
        """Returns (next hidden state, features of it, all motion, motion less the head's).

        [B, h, w, F] twice and [B, h, w, 2] twice; `moments` and their `answers` are those of
        `least_squares`.
        """
        width = self.config.displacement_width

        def conv(x, reach: int, name: str):
            return nn.Conv(width, (3, 3), kernel_dilation=reach, name=name)(x)

        x = nn.gelu(nn.Dense(width, name="enter")(jnp.concatenate([hidden, context, seen], -1)))
        y = nn.gelu(conv(x, 1, "near"))
        whole = nn.Dense(width, name="whole")(y.mean((1, 2), keepdims=True))
        y = nn.gelu(conv(y, 2, "farther") + whole)
        y = conv(y, 3, "farthest") + nn.Dense(width, name="skip")(x)
        hidden = layer_norm("norm", jnp.float32)(hidden + y)
        small = nn.initializers.normal(0.01)
        last = nn.gelu(conv(hidden, 1, "leave"))
        logits = nn.Dense(len(APART) * len(_FALL), kernel_init=small, name="neighbors")(last)
        attended = _attend(jnp.split(logits, len(APART), axis=-1), moments)
        # Answers of least squares are mixed, patch by patch; the last weight is for none of them.
        # At first the branch's own neighborhoods count most, and the widest of the coarse band.
        first = np.float32([0] * (answers.shape[3] - 1) + [1] * (1 + attended.shape[3]) + [0])
        answers = jnp.concatenate([answers, attended], axis=3)
        out = nn.Dense(3 + len(first), kernel_init=small, name="out")(last)
        mixture = nn.softmax(out[..., 3:] + first, axis=-1)[..., :-1]
        motion = motion + out[..., :2] + jnp.einsum("bhwk,bhwkd->bhwd", mixture, answers)
        rigid = nn.softplus(out[..., 2] + 1) + 1e-3  # how much a patch tells of the head
        return hidden, last, motion, motion - fit_head(motion, rigid)


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
        weights = nn.softmax(own + _FALL, axis=-1)
        sums = jnp.einsum("bhwn,bhwnf->bhwf", weights, neighbors(flat, REACH, apart))
        answers.append(solve(sums.reshape(moments.shape))[0])
    return jnp.concatenate(answers, axis=3)


def _per_patch(cells, height: int, width: int):
    """Values of cells [B, H, W, F] -> those of each patch's cells, [B, h, w, F']."""
    batch, rows, columns, count = cells.shape
    down, across = rows // height, columns // width
    x = cells.reshape(batch, height, down, width, across, count).swapaxes(2, 3)
    return x.reshape(batch, height, width, -1)

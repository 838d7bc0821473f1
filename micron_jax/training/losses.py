"""Losses of a pretraining: reconstruction, agreement of a face with its crops, known motion."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.checks import choose
from micron_jax.faces.parts import oval
from micron_jax.models.head_motion import fit_head
from micron_jax.models.layers import patchify, unit


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the total loss: γ · L_r + β · L_agreement + displacement_weight · L_displacement.

    Attributes:
      reconstruction_weight: γ of the paper's total loss (its value is not printed).
      agreement_weight: β of it, likewise.
      agreement: `none`; `mse`, the paper's Eq. 15; `dino`, the release's.
      displacement_weight: of `displacement_loss`, which is ours; 0 leaves it out.
      norm_pix: reconstruct patches with their own mean and variance removed.
      student_temperature: of the student's softmax. This field and the next are for `dino`.
      teacher_temperature_start, teacher_temperature: of the teacher's softmax, first and last.
      teacher_temperature_epochs: epochs of the linear change from the first to the last.
      teacher_momentum: of the teacher's moving average at the first step; a cosine takes it to 1.
      center_momentum: of the center's moving average.
    """

    reconstruction_weight: float = 1.0
    agreement_weight: float = 1.0
    agreement: str = "none"
    displacement_weight: float = 0.0
    norm_pix: bool = False
    student_temperature: float = 0.1
    teacher_temperature_start: float = 0.04
    teacher_temperature: float = 0.04
    teacher_temperature_epochs: int = 0
    teacher_momentum: float = 0.996
    center_momentum: float = 0.9

    def __post_init__(self):
        choose("config.objective", self, agreement=("none", "mse", "dino"))


def reconstruction_loss(predicted, images, *, patch_size: int, norm_pix: bool = False):
    """Mean squared error over the pixels of all patches (the release's models/mae.py, line 631).

    Args:
      predicted, images: [B, N, patch_size² · 3] and the target, [B, H, W, 3].
      norm_pix: compare with each patch's values less their mean, over their deviation.
    """
    target = patchify(images, patch_size)
    if norm_pix:
        mean, deviation = patch_moments(target)
        target = (target - mean) / deviation
    return jnp.mean(jnp.square(predicted - target))


def patch_moments(patches):
    """Mean and standard deviation (unbiased; variance + 1e-6) of each patch: [B, N, 1] twice."""
    variance = patches.var(axis=-1, keepdims=True, ddof=1)
    return patches.mean(axis=-1, keepdims=True), jnp.sqrt(variance + 1e-6)


def restore_patches(patches, images, *, patch_size: int):
    """Adds the moments of images [B, H, W, 3] to patches [B, N, P] predicted under `norm_pix`."""
    mean, deviation = patch_moments(patchify(images, patch_size))
    return patches * deviation + mean


def mse_agreement(cls, crop_cls):
    """Mean squared distance of the CLS tokens of frame t+δ, [B, D], and of crops of it, [B, V, D].

    The paper's Eq. 15.
    """
    difference = cls[:, None].astype(jnp.float32) - crop_cls.astype(jnp.float32)
    return jnp.mean(jnp.square(difference))


_FINE = 0.02  # px: a mean error of the first guess below which little is gained


def displacement_loss(estimate, displacement, motion):
    """Distance between the displacement branch's estimate and known motion; ours.

    Mean distances over the face, of the displacement, of the motion less the head's by half and of
    the head's by a quarter. Each is a share of the distance of the first guess in the same pair, so
    that pairs, calm and wild, clean and noisy, count alike; patches beside the face count an
    eighth. Besides, how well the scale fits the displacement's error (Laplace), from which no
    gradient passes to the displacement.

    Args:
      estimate: of `displacement.Displacement` for B pairs.
      displacement, motion: the truth, px, [B, h, w, 2], likewise.

    Returns:
      (loss, mean distance of the face's own motion, px).
    """
    face = oval(displacement.shape[1])
    inside = jnp.asarray(np.where(face, 1.0, 1 / 8), jnp.float32)

    def distance(predicted, truth):
        return (_length(predicted - truth) * inside).sum((1, 2)) / inside.sum()

    guess = estimate.guess - fit_head(estimate.guess, jnp.ones(estimate.guess.shape[:3]))
    usual = jax.lax.stop_gradient(distance(guess, displacement)) + _FINE
    parts = (
        (2.0, estimate.displacement, displacement),
        (1.0, estimate.own, displacement),
        (0.5, estimate.motion - estimate.own, motion - displacement),
    )
    total = sum(share * (distance(*pair) / usual).mean() for share, *pair in parts)
    error = jax.lax.stop_gradient(_length(estimate.displacement - displacement))
    surprise = error * jnp.exp(-estimate.log_scale) + 2 * estimate.log_scale
    total += 0.3 * jnp.mean(surprise * inside)
    return total, (error * face).sum() / (len(error) * face.sum())


def _length(vectors):
    return jnp.sqrt(jnp.square(vectors).sum(-1) + 1e-5)  # its gradient at 0 is finite


def dino_agreement(student, teacher, center, *, student_temperature, teacher_temperature):
    """Cross-entropy of every student view with every teacher view but itself.

    The release's `DINOLoss` (models/mae.py, line 241).

    Args:
      student: projections of V views, the two global ones first, [B, V, K].
      teacher: projections of the two global views, [B, 2, K]; no gradient passes through them.
      center: subtracted from the teacher's, [1, K].

    Returns:
      A scalar, the mean over the 2V - 2 pairs of views and the batch.
    """
    target = jax.nn.softmax((teacher - center) / teacher_temperature, axis=-1)
    target = jax.lax.stop_gradient(target)
    log_student = jax.nn.log_softmax(student / student_temperature, axis=-1)
    views, globals_ = student.shape[1], teacher.shape[1]
    cross_entropy = -jnp.einsum("btk,bvk->tv", target, log_student) / student.shape[0]
    other_view = ~jnp.eye(globals_, views, dtype=bool)
    return jnp.sum(cross_entropy, where=other_view) / (globals_ * (views - 1))


def feature_spread(features):
    """Spread of features [..., D] over the samples: 0 is collapse, 1 directions spread evenly.

    √D times the mean over axes of the standard deviation of the features at length one; it has no
    gradient. A mean of the spreads of parts is not that of the whole: a sample alone has none.
    """
    features = jax.lax.stop_gradient(features).astype(jnp.float32)
    samples = tuple(range(features.ndim - 1))
    return jnp.sqrt(features.shape[-1]) * jnp.std(unit(features), axis=samples).mean()


def teacher_entropy(teacher, center, *, temperature):
    """Mean entropy over log K of the teacher's softmax: 0 is one class, 1 is all alike.

    Takes the teacher's outputs [B, 2, K] and the center [1, K].
    """
    log = jax.nn.log_softmax((teacher - center) / temperature, axis=-1)
    return -jnp.sum(jnp.exp(log) * log, axis=-1).mean() / jnp.log(teacher.shape[-1])


def update_center(center, teacher, *, momentum: float):
    """Moving average of the center over the global batch: [1, K] and [..., 2, K] -> [1, K]."""
    mean = teacher.mean(axis=tuple(range(teacher.ndim - 1)))
    return center * momentum + mean[None] * (1 - momentum)


def update_teacher(teacher, params, *, momentum):
    """Moving average of the parameters of a teacher's parts, frozen ones too; see `TrainState`."""
    # Not optax's moving average: it rounds otherwise, and resumed runs would differ.
    return jax.tree.map(
        lambda old, new: momentum * old + (1 - momentum) * new,
        teacher,
        {name: params[name] for name in teacher},
    )


def teacher_temperature(config: ObjectiveConfig, epoch):
    """Temperature in an epoch: linear over the warm-up epochs, both ends hit, then constant."""
    steps = max(config.teacher_temperature_epochs - 1, 1)
    # numpy's linspace of a single point, as the release uses it, is its start.
    fraction = jnp.minimum(epoch / steps, 1.0)
    start, end = config.teacher_temperature_start, config.teacher_temperature
    warming = start + (end - start) * fraction
    return jnp.where(epoch < config.teacher_temperature_epochs, warming, end)


def teacher_momentum(config: ObjectiveConfig, step, total_steps: int):
    """Momentum at a step: a cosine from `config.teacher_momentum` to 1 at `total_steps`."""
    cosine = (1 + jnp.cos(jnp.pi * step / total_steps)) / 2
    return 1 - (1 - config.teacher_momentum) * cosine

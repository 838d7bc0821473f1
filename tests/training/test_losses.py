import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.models.displacement import Estimate
from micron_jax.models.layers import patchify
from micron_jax.training import losses
from micron_jax.training.losses import ObjectiveConfig


def softmax(x):
    exp = np.exp(x - x.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def test_dino_is_the_cross_entropy_of_all_other_views():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(3, 6, 7)), rng.normal(size=(3, 2, 7))
    center = rng.normal(size=(1, 7))
    terms = []
    for t in range(2):
        target = softmax((teacher[:, t] - center) / 0.05)
        for v in range(6):
            if v != t:
                log = np.log(softmax(student[:, v] / 0.1))
                terms.append(-(target * log).sum(-1).mean())
    assert len(terms) == 10
    output = losses.dino_agreement(
        student, teacher, center, student_temperature=0.1, teacher_temperature=0.05
    )
    np.testing.assert_allclose(output, np.mean(terms), rtol=1e-5)


def test_no_gradient_reaches_the_teacher():
    views = jax.random.normal(jax.random.key(0), (2, 2, 5))

    def loss(teacher):
        return losses.dino_agreement(
            views, teacher, jnp.zeros((1, 5)), student_temperature=0.1, teacher_temperature=0.05
        )

    assert not jax.grad(loss)(views).any()


def test_center_moves_toward_the_mean_of_the_batch():
    teacher = np.arange(12.0).reshape(2, 2, 3)
    center = losses.update_center(np.ones((1, 3)), teacher, momentum=0.9)
    np.testing.assert_allclose(center, [0.9 + 0.1 * teacher.reshape(4, 3).mean(0)])


@pytest.mark.parametrize("warmup", [0, 1, 2, 5])
def test_teacher_temperature_is_linspace_then_constant(warmup):
    config = ObjectiveConfig(
        teacher_temperature_start=0.04,
        teacher_temperature=0.07,
        teacher_temperature_epochs=warmup,
    )
    expected = np.concatenate([np.linspace(0.04, 0.07, warmup), np.full(8 - warmup, 0.07)])
    output = [losses.teacher_temperature(config, epoch) for epoch in range(8)]
    np.testing.assert_allclose(output, expected, rtol=1e-6)


def test_teacher_momentum_is_a_cosine_to_one():
    config = ObjectiveConfig(teacher_momentum=0.9)
    output = [losses.teacher_momentum(config, step, 10) for step in (0, 5, 10)]
    np.testing.assert_allclose(output, [0.9, 0.95, 1.0], rtol=1e-6)


def test_reconstruction_of_the_image_itself_costs_nothing():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    patches = patchify(images, 4)
    assert losses.reconstruction_loss(patches, images, patch_size=4) == 0
    off = losses.reconstruction_loss(patches + 2, images, patch_size=4)
    np.testing.assert_allclose(off, 4, rtol=1e-6)
    normal = (patches - patches.mean(-1, keepdims=True)) / patches.std(-1, ddof=1, keepdims=True)
    loss = losses.reconstruction_loss(normal, images, patch_size=4, norm_pix=True)
    np.testing.assert_allclose(loss, 0, atol=1e-9)


def test_mse_agreement_is_the_mean_over_crops():
    cls = np.zeros((2, 3))
    crops = np.stack([np.ones((2, 3)), 3 * np.ones((2, 3))], axis=1)
    np.testing.assert_allclose(losses.mse_agreement(cls, crops), 5)


def test_unknown_agreement_is_named():
    with pytest.raises(UserError, match=r"objective\.agreement='byol': choose one of none"):
        ObjectiveConfig(agreement="byol")


def test_feature_spread_is_one_for_all_directions_and_none_for_one():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 16))
    np.testing.assert_allclose(losses.feature_spread(features), 1, atol=0.02)
    np.testing.assert_allclose(losses.feature_spread(7 * features), 1, atol=0.02)
    assert losses.feature_spread(np.ones((8, 16)) * rng.uniform(1, 2, (8, 1))) < 1e-3


def test_teacher_entropy_is_one_for_all_classes_and_none_for_one():
    center = np.arange(8.0)[None]
    alike = np.broadcast_to(center, (5, 2, 8))
    entropy = losses.teacher_entropy(alike, center, temperature=0.04)
    np.testing.assert_allclose(entropy, 1, rtol=1e-5)
    one = alike + np.eye(8)[3]
    assert losses.teacher_entropy(one, center, temperature=0.04) < 1e-6
    two = alike + np.eye(8)[3] + np.eye(8)[5]
    entropy = losses.teacher_entropy(two, center, temperature=0.04)
    np.testing.assert_allclose(entropy, np.log(2) / np.log(8), rtol=1e-4)


def estimate_of(motion, displacement, log_scale=0.0, guess=1.0):
    """An estimate whose first guess is off by about so many px, at random."""
    guess = displacement + guess * np.random.default_rng(9).normal(size=displacement.shape)
    guess, motion, displacement = map(jnp.asarray, (guess, motion, displacement))
    scale = jnp.full(displacement.shape[:3], log_scale)
    return Estimate(guess, motion, displacement, displacement, scale)


def test_displacement_loss_is_lowest_at_the_truth():
    rng = np.random.default_rng(0)
    truth, motion = rng.normal(size=(2, 4, 28, 28, 2)).astype(np.float32)
    right, error = losses.displacement_loss(estimate_of(motion, truth), truth, motion)
    assert error == pytest.approx(0, abs=0.005)
    off = truth + np.float32([0.3, 0.4])
    wrong, error = losses.displacement_loss(estimate_of(motion, off), truth, motion)
    assert error == pytest.approx(0.5, abs=0.01)
    assert wrong > right + 0.1
    wrong, error = losses.displacement_loss(estimate_of(motion + 0.5, truth), truth, motion)
    assert error == pytest.approx(0, abs=0.005)
    assert wrong > right + 0.1, "the head's motion counts, too"


def test_the_loss_is_a_share_of_the_first_guess_s_error():
    truth = np.zeros((2, 28, 28, 2), np.float32)
    off = truth + np.float32([0.3, 0.4])

    def gain(guess: float) -> float:
        """How much larger the loss of an estimate that is off is than that of the truth."""
        wrong, right = (
            losses.displacement_loss(estimate_of(truth, x, guess=guess), truth, truth)[0]
            for x in (off, truth)
        )
        return float(wrong - right)

    assert gain(1.0) == pytest.approx(2 * gain(2.0), rel=0.35)
    assert gain(1.0) > gain(2.0)


def test_the_scale_is_best_at_half_the_error():
    truth = np.zeros((2, 28, 28, 2), np.float32)
    off = truth + np.float32([0.6, 0.8])
    values = [
        float(losses.displacement_loss(estimate_of(off, off, s), truth, truth)[0])
        for s in np.log([0.25, 0.5, 1.0])
    ]
    assert values[1] == min(values)

import jax
import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.finetuning.augment import AugmentConfig, augment_pairs

ONSET, APEX = np.random.default_rng(0).integers(0, 200, (2, 4, 16, 16, 3), np.uint8)


def augment(config, onset=ONSET, apex=APEX, seed=0):
    return [np.asarray(x) for x in augment_pairs(jax.random.key(seed), onset, apex, config)]


def test_both_frames_are_changed_alike():
    config = AugmentConfig(shift=0.1, crop=0.8, brightness=0.3)
    a, b = augment(config, ONSET, ONSET)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - ONSET).max() > 20
    # It is linear in the frames: what differs is moved as the frames are.
    onset, apex = augment(config)
    swapped = augment(config, APEX, ONSET)
    np.testing.assert_array_equal(onset, swapped[1])
    np.testing.assert_array_equal(apex, swapped[0])


def test_pairs_are_changed_differently_and_anew_by_another_key():
    config = AugmentConfig(flip=False)
    same = np.broadcast_to(ONSET[:1], ONSET.shape)
    a, _ = augment(config, same, same)
    assert np.abs(a[0] - a[1]).max() > 5
    b, _ = augment(config, same, same, seed=1)
    assert np.abs(a - b).max() > 5


def test_empty_settings_change_nothing():
    a, b = augment(AugmentConfig(flip=False, shift=0.0, crop=1.0, brightness=0.0))
    np.testing.assert_allclose(a, ONSET, atol=1e-4)
    np.testing.assert_allclose(b, APEX, atol=1e-4)


def test_a_flip_is_a_mirror():
    a, b = augment(AugmentConfig(flip=True, shift=0.0, crop=1.0, brightness=0.0))
    mirrored = [np.abs(one - own[:, ::-1]).max() < 1e-3 for one, own in zip(a, ONSET, strict=True)]
    unchanged = [np.abs(one - own).max() < 1e-3 for one, own in zip(a, ONSET, strict=True)]
    assert [m != k for m, k in zip(mirrored, unchanged, strict=True)] == [True] * 4
    for one, own, flipped in zip(b, APEX, mirrored, strict=True):
        np.testing.assert_allclose(one, own[:, ::-1] if flipped else own, atol=1e-3)


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match=r"augment\.crop=0"):
        AugmentConfig(crop=0.0)
    with pytest.raises(UserError, match=r"augment\.copies=-1"):
        AugmentConfig(copies=-1)

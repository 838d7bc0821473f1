import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.data.views import (
    ViewsConfig,
    blocks_mask,
    denormalize,
    make_views,
    normalize,
    random_crop,
    uniform_mask,
)
from micron_jax.errors import UserError


def keys(count):
    return jax.random.split(jax.random.key(0), count)


def test_uniform_masks_have_the_count_of_the_release():
    masks = jax.vmap(lambda key: uniform_mask(key, 7, 0.3))(keys(200))
    assert set(np.asarray(masks.sum((1, 2)))) == {49 - int(49 * 0.7)}
    # Every patch alike likely: 15 of 49, within five standard errors.
    assert np.abs(masks.mean(0) - 15 / 49).max() < 5 * np.sqrt(0.31 * 0.69 / 200)


def test_blocks_come_close_to_the_ratio_and_never_above():
    masks = jax.vmap(lambda key: blocks_mask(key, 28, 0.5, 16, 0.3))(keys(200))
    counts = np.asarray(masks.sum((1, 2)))
    assert counts.max() <= 392
    assert counts.mean() > 0.46 * 784
    assert counts.min() > 0.35 * 784
    assert len(np.unique(np.asarray(masks).reshape(200, -1), axis=0)) == 200


def test_blocks_are_blocks():
    """Set patches have set neighbors far more often than patches drawn one by one."""
    masks = np.asarray(jax.vmap(lambda key: blocks_mask(key, 28, 0.5, 16, 0.3))(keys(50)))
    agree = (masks[:, :, 1:] == masks[:, :, :-1]).mean()
    assert agree > 0.85


def test_a_mask_of_nothing_is_empty():
    assert not blocks_mask(keys(1)[0], 8, 0.0, 16, 0.3).any()
    assert not uniform_mask(keys(1)[0], 8, 0.0).any()


def test_normalize_uses_imagenet_and_has_an_inverse():
    frames = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    images = normalize(frames)
    expected = (frames / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(denormalize(images), frames)


def test_a_crop_shows_a_part_of_the_image_undistorted():
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    image = jnp.stack([rows, columns, jnp.ones_like(rows)], -1)
    crop = functools.partial(random_crop, size=16, scale=(0.2, 0.5), flip=False)
    crops = np.asarray(jax.vmap(crop, (0, None))(keys(100), image))
    assert crops.shape == (100, 16, 16, 3)
    np.testing.assert_allclose(crops[..., 2], 1, rtol=1e-5)  # inside, borders too
    height = np.diff(crops[:, :, 8, 0], axis=1)[:, 3:-3].mean(1) * 16
    width = np.diff(crops[:, 8, :, 1], axis=1)[:, 3:-3].mean(1) * 16
    share = height * width / 64**2
    assert share.min() > 0.19
    assert share.max() < 0.51
    assert np.ptp(share) > 0.2
    aspect = width / height
    assert aspect.min() > 0.74
    assert aspect.max() < 1.34
    flipped = jax.vmap(functools.partial(crop, flip=True), (0, None))(keys(100), image)
    mirrored = np.asarray(flipped)[:, 8, 0, 1] > np.asarray(flipped)[:, 8, -1, 1]
    assert 0.3 < mirrored.mean() < 0.7


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (2, 4, 32, 32, 3)).astype(np.uint8)


def views_of(pair, key=0, **config):
    make = functools.partial(make_views, config=ViewsConfig(**config), img_size=32, patch_size=8)
    return jax.jit(make)(jax.random.key(key), *pair)


@pytest.mark.parametrize("swap", ["blocks", "uniform"])
def test_swapped_patches_come_from_the_same_place_of_the_other_frame(pair, swap):
    views = views_of(pair, swap=swap, swap_ratio=0.5, swap_min_patches=2)
    cur, ref, rep = (
        np.asarray(views[name]).reshape(4, 4, 8, 4, 8, 3).swapaxes(2, 3).reshape(4, 16, -1)
        for name in ("cur", "ref", "rep")
    )
    from_ref, from_cur = (np.isclose(rep, x, atol=1e-5).all(-1) for x in (ref, cur))
    np.testing.assert_array_equal(from_ref, ~from_cur)
    assert (from_ref.sum(1) <= 8).all()
    assert (from_ref.sum(1) >= 4).all()
    assert len(np.unique(from_ref, axis=0)) > 1, "one mask for all samples"


def test_views_follow_the_key_alone(pair):
    config = dict(global_crops=2, local_crops=3, local_size=16)
    first, again, other = (views_of(pair, key, **config) for key in (0, 0, 1))
    assert first["global"].shape == (4, 2, 32, 32, 3)
    assert first["local"].shape == (4, 3, 16, 16, 3)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["local"], other["local"])
    assert not np.array_equal(first["local"][:, 0], first["local"][:, 1])


def test_frames_of_another_size_are_resized(pair):
    make = functools.partial(make_views, config=ViewsConfig(swap="none"), img_size=16, patch_size=8)
    views = make(jax.random.key(0), *pair)
    assert views["cur"].shape == (4, 16, 16, 3)
    np.testing.assert_array_equal(views["rep"], views["cur"])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"swap": "rows"}, "views.swap"),
        ({"swap_ratio": 1.5}, "views.swap_ratio"),
        ({"local_scale": (0.5, 0.1)}, "views.local_scale"),
    ],
)
def test_bad_settings_are_named(fields, name):
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        ViewsConfig(**fields)


def test_pairs_may_be_registered_first():
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (2, 80, 80, 3))[0], (0, 0), 3)
    noise = np.uint8((noise - noise.min()) / np.ptp(noise) * 255)
    cur, moved = noise[8:72, 8:72][None], noise[7:71, 10:74][None]
    found = {}
    for registered in (False, True):
        config = ViewsConfig(registered=registered)
        views = make_views(keys(1)[0], cur, moved, config=config, img_size=64, patch_size=8)
        found[registered] = np.abs(views["ref"] - views["cur"])[:, 8:-8, 8:-8].mean()
    assert found[True] < 0.15 * found[False]

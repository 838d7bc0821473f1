import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import tiny

from micron_jax.models.layers import (
    make_blocks,
    patchify,
    resize_positions,
    sincos_positions,
    unpatchify,
)
from micron_jax.models.matrices import bicubic_matrix
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.training.state import init_params


def test_unpatchify_inverts_patchify():
    images = np.random.default_rng(0).normal(size=(2, 12, 8, 3))
    patches = patchify(images, 4)
    assert patches.shape == (2, 6, 48)
    np.testing.assert_array_equal(patches[1, 3].reshape(4, 4, 3), images[1, 4:8, 4:8])
    np.testing.assert_array_equal(unpatchify(patches, 4, (3, 2)), images)


def test_positions_encode_column_then_row():
    positions = sincos_positions(8, 3)
    assert positions.shape == (1, 10, 8)
    assert not positions[0, 0].any()
    row, column = 2, 1
    frequencies = np.array([1, 0.01])
    expected = [
        *np.sin(column * frequencies), *np.cos(column * frequencies),
        *np.sin(row * frequencies), *np.cos(row * frequencies),
    ]  # fmt: skip
    np.testing.assert_allclose(positions[0, 1 + row * 3 + column], expected, rtol=1e-6)


@pytest.mark.parametrize(("size_in", "size_out"), [(28, 12), (8, 3), (4, 7)])
def test_resizing_equals_torch_with_the_literal_scale(size_in, size_out):
    torch = pytest.importorskip("torch")
    grid = np.random.default_rng(0).normal(size=(1, 5, size_in, size_in)).astype(np.float32)
    scale = (size_out + 0.1) / size_in
    expected_grid = torch.nn.functional.interpolate(
        torch.from_numpy(grid), scale_factor=(scale, scale), mode="bicubic"
    ).numpy()
    matrix = bicubic_matrix(size_in, size_out)
    # torch takes the source coordinates in float32, where 27 has steps of 2e-6.
    np.testing.assert_allclose(matrix @ grid @ matrix.T, expected_grid, rtol=0, atol=1e-5)


def test_rows_of_the_resizing_sum_to_one():
    np.testing.assert_allclose(bicubic_matrix(28, 12).sum(1), 1, rtol=1e-6)


def test_positions_of_the_same_grid_are_unchanged():
    positions = sincos_positions(8, 4)
    assert resize_positions(positions, (4, 4)) is positions
    assert resize_positions(positions, (2, 3)).shape == (1, 7, 8)


@pytest.mark.parametrize("remat", ["dots", "blocks"])
def test_remat_gives_equal_gradients(remat):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 8)), jnp.float32)
    config = dataclasses.replace(tiny.RELEASE, mlp_ratio=2.0, attention="xla")
    (plain,), (again,) = (
        make_blocks(dataclasses.replace(config, remat=how), 1, 2) for how in ("none", remat)
    )
    params = plain.init(jax.random.key(0), x, "tokens")
    chex.assert_trees_all_equal_shapes(params, again.init(jax.random.key(0), x, "tokens"))

    def gradient(block):
        return jax.grad(lambda params: jnp.square(block.apply(params, x, "tokens")).sum())(params)

    chex.assert_trees_all_close(gradient(again), gradient(plain), rtol=1e-5, atol=1e-6)
    weights = [block.apply(params, x, "weights") for block in (plain, again)]
    np.testing.assert_array_equal(*weights)
    assert "remat" in str(jax.make_jaxpr(lambda: gradient(again))())


def test_scanned_blocks_equal_unrolled_blocks():
    config = dataclasses.replace(tiny.RELEASE, depth=3, decoder_depth=2)
    params = jax.jit(lambda key: init_params(config, key))(jax.random.key(0))
    frames = np.random.default_rng(0).normal(size=(2, 1, 32, 32, 3)).astype(np.float32)
    results = {}
    for blocks in ("unrolled", "scanned"):
        module = MicronBertModule(dataclasses.replace(config, blocks=blocks))
        results[blocks] = jax.jit(
            jax.value_and_grad(
                lambda params, module=module: jnp.var(module.bind({"params": params})(*frames))
            )
        )(params)
    chex.assert_trees_all_close(results["scanned"], results["unrolled"], rtol=1e-4, atol=1e-6)

"""The formula against XLA's own count of the same network."""

import dataclasses

import jax
import numpy as np
import pytest
from helpers.plans import recipe

from micron_jax.data.views import ViewsConfig
from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement import Displacement
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.training.flops import (
    displacement_flops,
    encode_cls_flops,
    encode_flops,
    head_flops,
    peak_flops,
    reconstruct_flops,
    train_flops,
)
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.state import init_params

# Wide enough for products to outweigh norms and softmax; nothing of it is ever run.
MODEL = ModelConfig.of_size("small", img_size=64, projection_dim=128, attention="xla")


def counted(model, method, *inputs, fixed=()):
    """FLOPs of a method as XLA counts them, before it is compiled."""
    params = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))

    def compiled_flops(params, *inputs):
        return MicronBertModule(model).apply({"params": params}, *inputs, *fixed, method=method)

    shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in inputs]
    return jax.jit(compiled_flops).lower(params, *shapes).cost_analysis()["flops"]


@pytest.mark.parametrize("size", [64, 32])
def test_encoder(size):
    counted_ = counted(MODEL, "encode", (1, size, size, 3))
    np.testing.assert_allclose(encode_flops(MODEL, size), counted_, rtol=0.03)


@pytest.mark.parametrize("size", [64, 32])
def test_encoder_up_to_one_token(size):
    counted_ = counted(MODEL, "encode_views", (1, 1, size, size, 3), fixed=(0,))
    np.testing.assert_allclose(encode_cls_flops(MODEL, size), counted_, rtol=0.03)
    assert counted_ < 0.8 * encode_flops(MODEL, size)


def test_micro_attention_and_decoder():
    tokens = (1, 65, MODEL.width)
    expected = counted(MODEL, "attend", tokens, tokens) + counted(MODEL, "decode", (1, 64, 512))
    np.testing.assert_allclose(reconstruct_flops(MODEL), expected, rtol=0.03)


def test_head():
    expected = counted(MODEL, "project", (1, 64, 64, 3)) - counted(MODEL, "encode", (1, 64, 64, 3))
    np.testing.assert_allclose(head_flops(MODEL), expected, rtol=0.03)


def test_a_training_sample_of_the_release():
    model = dataclasses.replace(MODEL, img_size=224)
    views = ViewsConfig(global_crops=2, local_crops=8, local_size=96)
    # Measured elsewhere: about 520 GFLOP with DINO's crops, 25 of an encoding. Of crops the last
    # block of four is wanted for one token only: 6 GFLOP less of the large, 1 of the small ones.
    assert 24e9 < encode_flops(model, 224) < 26e9
    flops = train_flops(model, views, ObjectiveConfig(agreement="dino"))
    saved = [encode_flops(model, s) - encode_cls_flops(model, s) for s in (224, 96)]
    assert 480e9 < flops + (3 + 1) * 2 * saved[0] + 3 * 8 * saved[1] < 560e9
    assert 440e9 < flops < 470e9
    plain = train_flops(model, views, ObjectiveConfig(agreement="none"))
    assert plain == 3 * (2 * encode_flops(model, 224) + reconstruct_flops(model))


def test_peaks():
    assert peak_flops("TPU v5 lite") == 197e12
    assert peak_flops("TPU v5p") == 459e12
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("cpu") is None


@pytest.mark.parametrize(("name", "gflops"), [("pretrain_release", 455), ("pretrain_paper", 245)])
def test_flops_of_a_sample(name, gflops):
    config = recipe(name)
    flops = train_flops(config.model, config.views, config.objective)
    assert flops / 1e9 == pytest.approx(gflops, rel=0.02)


def test_the_displacement_branch_takes_what_was_counted():
    config = ModelConfig(displacement_width=96)
    frames = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    network = Displacement(config)
    params = jax.eval_shape(network.init, jax.random.key(0), frames, frames)
    costs = jax.jit(network.apply).lower(params, frames, frames).cost_analysis()
    # Beside products: scores at whole rows, look-ups, blurs, norms.
    assert displacement_flops(config, 224) == pytest.approx(costs["flops"], rel=0.35)

"""The architecture of a checkpoint: from its shapes, and from what its settings say."""

import dataclasses

import numpy as np
import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights

from micron_jax.checkpoints.release import release_shapes
from micron_jax.checkpoints.release_architecture import class_arguments, differences, infer_config
from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.models.layers import hidden_width

SMALL = ModelConfig(**SIZES["small"], projection_dim=128)
DIAGONAL = {"diag_att": False}


def state_of(config):
    """Arrays of the release's shapes, which take no memory."""
    shapes = release_shapes(config)
    return {name: np.broadcast_to(np.float32(0), x.shape) for name, x in shapes.items()}


@pytest.mark.parametrize("key", ["model_name", "arch"])
def test_the_release_has_four_heads_whatever_its_args_say(key):
    args = {key: "mae_vit_small_patch8", "num_heads": 8, "decoder_num_heads": 16} | DIAGONAL
    config, sentences = infer_config(state_of(SMALL), args, {})
    assert config == SMALL
    assert (config.heads, config.decoder_heads) == (4, 4)
    assert [s.split(",")[0] for s in sentences] == [
        "its args say num_heads=8",
        "its args say decoder_num_heads=16",
    ]
    config, sentences = infer_config(state_of(SMALL), args, {"num_heads": 8})
    assert config.heads == 8
    assert sentences[0] == "num_heads=8 is taken; mae_vit_small_patch8 has 4"


def test_another_script_may_build_that_size_with_other_heads():
    config, sentences = infer_config(state_of(SMALL), DIAGONAL, {})
    assert (config.heads, config.decoder_heads, sentences) == (4, 4, [])
    args = {"num_heads": 8, "decoder_num_heads": 2} | DIAGONAL
    config, sentences = infer_config(state_of(SMALL), args, {})
    assert (config.heads, config.decoder_heads, sentences) == (8, 2, [])


@pytest.mark.parametrize("name", ["num_heads", "decoder_num_heads"])
def test_other_sizes_must_say_their_heads(name):
    args = {"num_heads": 2, "decoder_num_heads": 2} | DIAGONAL
    del args[name]
    with pytest.raises(UserError, match=f"nothing in it says {name}, which no shape tells"):
        infer_config(state_of(tiny.RELEASE), args, {})
    config, _ = infer_config(state_of(tiny.RELEASE), args, {name: 2})
    assert config == tiny.RELEASE


def test_hidden_widths_are_inferred_exactly():
    """A quotient of whole numbers may fall a hair short of them when it is multiplied again."""
    assert int(96 * (165 / 96 - 1e-15)) == 164
    for width in range(4, 1100, 12):
        for hidden in (width // 2 + 1, width + 1, 3 * width - 1, 4 * width + 3):
            assert hidden_width(width, hidden / width) == hidden
    for width, decoder, ratio in ((32, 16, 2.66), (4, 64, 1.9), (96, 48, 2.7), (64, 100, 170 / 96)):
        config = dataclasses.replace(
            tiny.RELEASE, width=width, decoder_width=decoder, mlp_ratio=ratio
        )
        args = {"num_heads": 2, "decoder_num_heads": 2} | DIAGONAL
        inferred, _ = infer_config(state_of(config), args, {})
        assert release_shapes(inferred) == release_shapes(config)
        theirs = class_arguments(draw_weights(inferred))["mlp_ratio"]
        for side in (width, decoder):  # timm's Mlp takes the whole part
            assert int(side * theirs) == int(side * ratio + 1e-9)


@pytest.mark.parametrize(
    "change",
    [{"dma_gated": False}, {"dma_scaled": False}, {"dma_query": "ref"}, {"dma_tied": True}],
)
def test_what_the_release_cannot_compute_is_told(change):
    config = dataclasses.replace(SMALL, **change)
    ((field, value),) = change.items()
    assert f"{field}={value!r}" in differences(config)[0]
    assert differences(SMALL) == []

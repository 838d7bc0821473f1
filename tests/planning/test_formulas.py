import pytest
from helpers.plans import recipe

from micron_jax.planning.formulas import activation_bytes, exchanged, recomputed_flops
from micron_jax.planning.hlo import Collective
from micron_jax.training.flops import train_flops


def test_activations_grow_with_the_model():
    small = activation_bytes(recipe("pretrain_paper"))
    assert 0.2e9 < small < 0.4e9
    assert activation_bytes(recipe("pretrain_release")) > 1.8 * small
    assert activation_bytes(recipe("pretrain_paper", "model.attention=cudnn")) < small
    assert activation_bytes(recipe("pretrain_paper", "model.size=base")) > 3 * small


def test_remat_trades_memory_for_flops():
    full, dots, blocks = (
        recipe("pretrain_paper", f"model.remat={remat}") for remat in ("none", "dots", "blocks")
    )
    assert activation_bytes(blocks) < 0.2 * activation_bytes(full)
    assert activation_bytes(blocks) < activation_bytes(dots) < 0.5 * activation_bytes(full)
    assert recomputed_flops(full) == 0
    assert recomputed_flops(dots) == pytest.approx(
        4 * 4 * 512 * (2 * 785**2 + 784**2 + 145**2), rel=1e-6
    )
    total = train_flops(blocks.model, blocks.views, blocks.objective)
    assert recomputed_flops(blocks) == pytest.approx(total / 3)


def test_exchanged_bytes():
    assert exchanged(100, {"data": 1, "fsdp": 1}) == []
    assert exchanged(100, {"data": 4, "fsdp": 2}) == [
        Collective("all-reduce", 4, 1, 50),
        Collective("all-gather", 2, 2, 200),
        Collective("reduce-scatter", 2, 1, 100),
    ]

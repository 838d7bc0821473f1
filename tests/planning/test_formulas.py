"""Arithmetic against known sizes, and reports made of it."""

import dataclasses

import jax
import pytest

from micron_jax import config as configs
from micron_jax.errors import UserError
from micron_jax.planning import steps
from micron_jax.planning.batch import largest_batch
from micron_jax.planning.chips import GIB, parse_topology
from micron_jax.planning.formulas import activation_bytes, exchanged, recomputed_flops
from micron_jax.planning.hlo import Collective
from micron_jax.planning.report import floors, make_report, table
from micron_jax.planning.steps import StepCost, TooLarge, read_refusal
from micron_jax.training.config import parse
from micron_jax.training.flops import train_flops


def recipe(name, *settings):
    return parse(configs.override(configs.load(name), ["data.data_dir=d", *settings]))


def step(**fields):
    values = dict(
        parameters=10,
        mesh={"data": 4, "fsdp": 1},
        memory=dict(arguments=8, temporaries=4, outputs=8, aliased=8, code=1),
        needed=13,
        available=16,
        flops=197e12,
        bytes=819e9 / 2,
        collectives=[Collective("all-reduce", 4, 2, int(200e9 / 6))],
        compiled=True,
    )
    return StepCost(**(values | fields))


@pytest.mark.parametrize(("name", "gflops"), [("pretrain_release", 455), ("pretrain_paper", 245)])
def test_flops_of_a_sample(name, gflops):
    config = recipe(name)
    flops = train_flops(config.model, config.views, config.objective)
    assert flops / 1e9 == pytest.approx(gflops, rel=0.02)


def test_activations_grow_as_they_should():
    small = activation_bytes(recipe("pretrain_paper"))
    assert 0.2e9 < small < 0.4e9
    assert activation_bytes(recipe("pretrain_release")) > 1.8 * small
    assert activation_bytes(recipe("pretrain_paper", "model.attention=cudnn")) < small
    assert activation_bytes(recipe("pretrain_paper", "model.size=base")) > 3 * small


def test_what_is_computed_again_is_not_kept():
    whole, dots, blocks = (
        recipe("pretrain_paper", f"model.remat={remat}") for remat in ("none", "dots", "blocks")
    )
    assert activation_bytes(blocks) < 0.2 * activation_bytes(whole)
    assert activation_bytes(blocks) < activation_bytes(dots) < 0.5 * activation_bytes(whole)
    assert recomputed_flops(whole) == 0
    assert recomputed_flops(dots) == pytest.approx(
        4 * 4 * 512 * (2 * 785**2 + 784**2 + 145**2), rel=1e-6
    )
    total = train_flops(blocks.model, blocks.views, blocks.objective)
    assert recomputed_flops(blocks) == pytest.approx(total / 3)


def test_an_estimate_knows_the_parts_of_a_batch():
    topology = parse_topology("h100:8")

    def estimate(*settings):
        config = recipe("pretrain_paper", "batch_size=512", *settings)
        return steps.estimate_step(config, topology, jax.devices())

    whole, parts = estimate(), estimate("accumulate=8")
    assert parts.flops == whole.flops
    assert parts.bytes == whole.bytes
    saved = 7 / 8 * 64 * activation_bytes(recipe("pretrain_paper")) - 4 * whole.parameters
    assert whole.needed - parts.needed == pytest.approx(saved, rel=1e-3)
    again = estimate("model.remat=blocks")
    assert again.flops == pytest.approx(4 / 3 * whole.flops)
    assert again.needed < 0.3 * whole.needed


def test_what_is_exchanged():
    assert exchanged(100, {"data": 1, "fsdp": 1}) == []
    assert exchanged(100, {"data": 4, "fsdp": 2}) == [
        Collective("all-reduce", 4, 1, 50),
        Collective("all-gather", 2, 2, 200),
        Collective("reduce-scatter", 2, 1, 100),
    ]


def test_floors_and_the_price_of_a_run():
    topology = parse_topology("v5e:2x2")
    seconds = floors(step(), topology)
    assert seconds == pytest.approx(dict(compute=1.0, hbm=0.5, interconnect=0.25))
    config = dataclasses.replace(recipe("pretrain_paper"), batch_size=8, epochs=10)
    report = make_report(config, topology, step(), frames=3600 * 8)
    assert report["floor_seconds"] == pytest.approx(1.0)
    assert report["bound_by"] == "compute"
    assert report["pretraining"]["hours"] == pytest.approx(10.0)
    assert report["pretraining"]["chip_hours"] == pytest.approx(40.0)
    assert (report["fits"], report["peak_bytes"], report["hbm_bytes"]) == (True, 13, 16)
    assert report["collectives"] == [{"op": "all-reduce", "count": 2, "bytes": int(200e9 / 6)}]
    text = table(report, topology)
    assert "fits" in text
    assert "ESTIMATE" not in text
    report = make_report(config, topology, step(needed=17, compiled=False), frames=1)
    assert "DOES NOT FIT" in table(report, topology)
    assert "ESTIMATE" in table(report, topology)


def test_the_compilers_refusal_is_read():
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
        "temporaries (52.50G) exceeds available HBM (15.75G)."
    )
    assert read_refusal(message) == TooLarge(int(52.5 * GIB), int(15.75 * GIB))
    assert read_refusal("INTERNAL: it broke") is None


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize(("each", "first"), [(3, 1), (3, 5), (3, 40), (0.5, 7), (90, 4)])
def test_the_largest_batch_is_found_in_few_attempts(each, first, refuses):
    tried = []

    def attempt(samples):
        tried.append(samples)
        needed = 10 + each * samples
        if refuses and needed > 100:
            return TooLarge(needed, 100)
        return step(needed=needed, available=100)

    found, fitting = largest_batch(attempt, first)
    assert found == int(90 / each)
    assert fitting.needed == 10 + each * found
    assert len(tried) == len(set(tried)) <= 6


def test_no_batch_fits():
    assert largest_batch(lambda samples: TooLarge(200 * samples, 100), 3) == (0, None)


def test_missing_libtpu_says_what_to_install(monkeypatch):
    monkeypatch.setattr(steps.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"v5e:2x2.*pip install '\.\[plan\]'"):
        steps.prepare(parse_topology("v5e:2x2"))

"""The work of each device does not depend on their number: read from compiled programs."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from helpers import tiny

from micron_jax.data.views import ViewsConfig
from micron_jax.planning.hlo import find_collectives
from micron_jax.training.config import DataConfig, PretrainConfig
from micron_jax.training.jitted import jit_functions
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig
from micron_jax.training.sharding import MeshConfig, make_mesh

EACH = 2  # samples a device


def work(devices: int) -> dict:
    """FLOPs and bytes of one of so many devices in a train step, and its collectives."""
    config = PretrainConfig(
        data=DataConfig("nowhere"),
        model=dataclasses.replace(tiny.RELEASE, attention="xla"),
        views=ViewsConfig(swap="uniform", global_crops=2, local_crops=2, local_size=16),
        objective=ObjectiveConfig(agreement="dino"),
        optimizer=OptimizerConfig(clip_norm=1.0),
        mesh=MeshConfig(),
        batch_size=EACH * devices,
    )
    mesh = make_mesh(config.mesh, devices=jax.devices()[:devices])
    functions = jit_functions(config, mesh, steps_per_epoch=10, total_steps=100)
    shape = (config.batch_size, 32, 32, 3)
    frames = jax.ShapeDtypeStruct(shape, "uint8", sharding=functions.batch_sharding)
    compiled = functions.train.lower(functions.state, {"cur": frames, "ref": frames}).compile()
    costs = compiled.cost_analysis()
    collectives = find_collectives(compiled.as_text(), devices=devices)
    return {
        "flops": costs["flops"],
        "bytes": costs["bytes accessed"],
        "collectives": [[c.op, c.count, c.bytes] for c in collectives],
    }


def check(few: dict, many: dict) -> None:
    for name in ("flops", "bytes"):
        assert many[name] == pytest.approx(few[name], rel=0.02)
    assert many["collectives"] == few["collectives"]
    assert {op for op, _, _ in few["collectives"]} == {"all-reduce"}


def test_work_of_a_device_is_equal_on_two_and_eight():
    check(work(2), work(8))


@pytest.mark.slow
def test_work_of_a_device_is_equal_on_one_and_sixty_four():
    alone, eight = work(1), work(8)
    assert eight["flops"] == pytest.approx(alone["flops"], rel=0.02)
    assert alone["collectives"] == []
    # What is reduced comes on top: put side by side, read, written, and taken apart again.
    reduced = sum(size for _, _, size in eight["collectives"])
    assert 0 < eight["bytes"] - alone["bytes"] < 4 * reduced
    process = subprocess.run(
        [sys.executable, __file__],
        env=os.environ
        | {"XLA_FLAGS": "--xla_force_host_platform_device_count=64"}
        | {"PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))},
        capture_output=True,
        text=True,
        check=True,
    )
    check(eight, json.loads(process.stdout))


if __name__ == "__main__":
    print(json.dumps(work(64)))

"""Recipes to plan, and the cost of a step by round numbers."""

from micron_jax import config as configs
from micron_jax.planning.hlo import Collective
from micron_jax.planning.steps import StepCost
from micron_jax.training.config import parse


def recipe(name, *settings):
    """The values of a packaged recipe of pretraining."""
    return parse(configs.override(configs.load(name), ["data.data_dir=d", *settings]))


def step_cost(needed=13, **fields) -> StepCost:
    """The cost of a step that takes 1 s on v5e:2x2."""
    values = dict(
        parameters=10,
        mesh={"data": 4, "fsdp": 1},
        memory=dict(arguments=8, temporaries=needed - 9, outputs=8, aliased=8, code=1),
        available=16,
        flops=197e12,
        bytes=819e9 / 2,
        collectives=[Collective("all-reduce", 4, 2, int(200e9 / 6))],
        compiled=True,
    )
    return StepCost(**(values | fields))

import jax
import pytest

from micron_jax import config as configs
from micron_jax.planning import steps
from micron_jax.planning.chips import parse_topology
from micron_jax.training.config import parse


@pytest.mark.parametrize(("topology", "heads"), [("h100:1", "xla"), ("v5e:2x2", "xla")])
def test_what_is_left_to_the_device_is_settled_for_the_one_planned_for(topology, heads):
    """A single CPU here would run attention head by head."""
    settings = ["data.data_dir=x", "batch_size=8", "model.size=tiny"]
    config = parse(configs.override(configs.load("pretrain_pod"), settings))
    assert config.model.attention == "auto"
    planned, *_ = steps.functions_for(config, parse_topology(topology), jax.devices()[:1])
    assert planned.model.attention == heads

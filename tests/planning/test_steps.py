import jax
import pytest
from helpers.plans import recipe

from micron_jax.errors import UserError
from micron_jax.planning import steps
from micron_jax.planning.chips import GIB, parse_topology
from micron_jax.planning.formulas import activation_bytes
from micron_jax.planning.steps import TooLarge, read_refusal


@pytest.mark.parametrize(("topology", "heads"), [("h100:1", "xla"), ("v5e:2x2", "pallas")])
def test_attention_is_chosen_for_the_planned_device(topology, heads):
    """A single CPU here would run attention head by head."""
    config = recipe("pretrain_pod", "batch_size=8", "model.size=tiny")
    assert config.model.attention == "auto"
    planned, *_ = steps.functions_for(config, parse_topology(topology), jax.devices()[:1])
    assert planned.model.attention == heads


def test_accumulation_and_remat_save_memory():
    topology = parse_topology("h100:8")

    def estimate(*settings):
        config = recipe("pretrain_paper", "batch_size=512", *settings)
        return steps.estimate_step(config, topology, jax.devices())

    full, parts = estimate(), estimate("accumulate=8")
    assert parts.flops == full.flops
    assert parts.bytes == full.bytes
    saved = 7 / 8 * 64 * activation_bytes(recipe("pretrain_paper")) - 4 * full.parameters
    assert full.needed - parts.needed == pytest.approx(saved, rel=1e-3)
    again = estimate("model.remat=blocks")
    assert again.flops == pytest.approx(4 / 3 * full.flops)
    assert again.needed < 0.3 * full.needed


def test_the_message_of_the_compiler_is_parsed():
    message = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
        "temporaries (52.50G) exceeds available HBM (15.75G)."
    )
    assert read_refusal(message) == TooLarge(int(52.5 * GIB), int(15.75 * GIB))
    assert read_refusal("INTERNAL: it broke") is None


def test_missing_libtpu_says_what_to_install(monkeypatch):
    monkeypatch.setattr(steps.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"v5e:2x2.*pip install '\.\[plan\]'"):
        steps.prepare(parse_topology("v5e:2x2"))

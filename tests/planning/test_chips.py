import pytest

from micron_jax.errors import UserError
from micron_jax.planning.chips import CHIPS, GIB, parse_topology


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("v5e:1x1", 1), ("v5e:4x4", 16), ("v5e:16x16", 256), ("v6e:8x16", 128), ("v4:2x2x1", 4),
        ("v4:2x2x2", 8), ("v5p:4x4x8", 128), ("h100:8", 8), ("a100:1", 1), ("h200:64", 64),
    ],
)  # fmt: skip
def test_topologies(name, count):
    topology = parse_topology(name)
    assert topology.count == count
    assert topology.is_tpu == name.startswith("v")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("v7:2x2", "no such chip; give v5e:4x4"),
        ("", "no such chip"),
        ("v5e", "v5e comes as 1x1, 2x2"),
        ("v5e:3x3", "4x8"),
        ("v5e:16x32", "16x16"),
        ("v5e:4x4x4", "v5e comes as 1x1"),
        ("v4:4x4", "AxBxC with even sides, such as v4:2x2x2"),
        ("v5p:2x3x4", "even sides"),
        ("v5p:4x4x", "even sides"),
        ("v4:2x2x1x1", "even sides"),
        ("v4:0x2x2", "even sides"),
        ("h100", "number of GPUs, such as h100:8"),
        ("h100:0", "h100:8"),
        ("a100:2x4", "a100:8"),
    ],
)
def test_bad_topologies_name_the_valid_forms(name, hint):
    with pytest.raises(UserError, match=hint) as caught:
        parse_topology(name)
    assert str(caught.value).startswith(f"topology {name}: ")
    assert "\n" not in str(caught.value)


def test_chips_have_plausible_figures():
    assert CHIPS["v5e"].flops == 197e12
    assert CHIPS["v5e"].hbm_bytes == 16 * GIB
    assert CHIPS["v6e"].flops > CHIPS["v5p"].flops > CHIPS["v4"].flops > CHIPS["v5e"].flops
    assert CHIPS["h200"].hbm_bytes > CHIPS["h100"].hbm_bytes
    for chip in CHIPS.values():  # arithmetic is dearer to feed from further away
        assert chip.flops > chip.hbm_bandwidth > chip.link_bandwidth
        assert chip.source

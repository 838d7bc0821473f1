import dataclasses

import pytest
from helpers.plans import recipe, step_cost

from micron_jax.planning.chips import parse_topology
from micron_jax.planning.report import floors, make_report, table


def test_floors_and_hours_of_a_run():
    topology = parse_topology("v5e:2x2")
    seconds = floors(step_cost(), topology)
    assert seconds == pytest.approx(dict(compute=1.0, hbm=0.5, interconnect=0.25))
    config = dataclasses.replace(recipe("pretrain_paper"), batch_size=8, epochs=10)
    report = make_report(config, topology, step_cost(), frames=3600 * 8)
    assert report["floor_seconds"] == pytest.approx(1.0)
    assert report["bound_by"] == "compute"
    assert report["pretraining"]["hours"] == pytest.approx(10.0)
    assert report["pretraining"]["chip_hours"] == pytest.approx(40.0)
    assert (report["fits"], report["peak_bytes"], report["hbm_bytes"]) == (True, 13, 16)
    assert report["collectives"] == [{"op": "all-reduce", "count": 2, "bytes": int(200e9 / 6)}]
    text = table(report, topology)
    assert "fits" in text
    assert "ESTIMATE" not in text
    report = make_report(config, topology, step_cost(needed=17, compiled=False), frames=1)
    assert "DOES NOT FIT" in table(report, topology)
    assert "ESTIMATE" in table(report, topology)

"""Parts of a report: results, limits, what is left of a part that is stopped."""

import sys
import time

from micron_jax.benchmarks.parts import Part, run, run_all

WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('{\"a\": 1}')"
SLEEP = "\nimport subprocess\nsubprocess.run(['sleep', '60'])"


def part(program, limit=60.0, name="it", **environ):
    return Part(name, "a title", [sys.executable, "-c", program, "OUT.json"], limit, environ)


def test_a_result_is_read(tmp_path):
    result = run(part(WRITE), tmp_path, 60)
    assert (result["state"], result["reason"], result["result"]) == ("done", None, {"a": 1})
    assert (tmp_path / "parts" / "it.json").exists()


def test_a_part_that_is_stopped_keeps_what_it_has_written(tmp_path):
    begin = time.monotonic()
    result = run(part(WRITE + SLEEP), tmp_path, 3)
    assert time.monotonic() - begin < 50  # its own process does not hold it
    assert (result["state"], result["result"]) == ("out of time", {"a": 1})
    assert result["reason"] == "it printed nothing"


def test_a_failure_is_its_last_line(tmp_path):
    result = run(part("import os; raise ValueError(os.environ['WHY'])", WHY="no"), tmp_path, 60)
    assert (result["state"], result["reason"]) == ("failed", "ValueError: no")
    assert result["result"] is None


def test_parts_follow_each_other_until_time_is_up(tmp_path):
    reports = []
    several = [part(WRITE, name="first"), part(WRITE, name="second")]
    results = run_all(several, tmp_path, seconds=60, report=lambda x: reports.append(dict(x)))
    assert [result["state"] for result in results.values()] == ["done", "done"]
    states = [[result["state"] for result in results.values()] for results in reports]
    assert states == [["not begun"] * 2, ["done", "not begun"], ["done", "done"]]
    results = run_all(several, tmp_path, seconds=1, report=lambda results: None)
    assert [result["state"] for result in results.values()] == ["not begun"] * 2

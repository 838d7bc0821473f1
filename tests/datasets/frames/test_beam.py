"""Apache Beam builds what the pool does; skipped where the extra `beam` is not installed."""

import importlib.util

import cv2
import numpy as np
import pytest

from micron_jax.cli import main
from micron_jax.datasets.frames import plan
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError

SIZE = 16
needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="Apache Beam is not installed: pip install 'micron-jax[beam]' to test its runner",
)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST", 10)
    for clip in range(4):
        folder = tmp_path / "source" / f"clip{clip}"
        folder.mkdir(parents=True)
        for number in range(5):
            picture = np.full((20, 20, 3), 50 * clip + number, np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
    return tmp_path / "source"


def contents(data_dir):
    folder = data_dir / "frames" / "1.0.0"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@needs_beam
@pytest.mark.parametrize("workers", [1, 2])
def test_beam_builds_the_same(source, tmp_path, capfd, workers):
    build(source, tmp_path / "pool", size=SIZE, crop="whole")
    options = ["--beam_pipeline_options", "runner=DirectRunner", "--workers", str(workers)]
    paths = ["--source", str(source), "--data-dir", str(tmp_path / "data")]
    crop = ["--size", str(SIZE), "--crop", "whole"]
    assert main(["data", "build", "frames", *paths, *crop, *options]) == 0
    assert contents(tmp_path / "data") == contents(tmp_path / "pool")
    assert len(contents(tmp_path / "data")) == 2 + 3
    out, err = capfd.readouterr()
    assert "20/20" in err
    assert "clips: 4, frames: 20" in out


@needs_beam
def test_beam_continues_a_build_of_the_pool(source, tmp_path, monkeypatch):
    build(source, tmp_path / "pool", size=SIZE, crop="whole")
    monkeypatch.setattr("micron_jax.datasets.frames.builder._finish", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(source, tmp_path / "data", size=SIZE, crop="whole")
    next((tmp_path / "data").rglob("00001.json")).unlink()
    first = next((tmp_path / "data").rglob("*00000-of-00002"))
    before = first.stat().st_mtime_ns
    monkeypatch.undo()
    monkeypatch.setattr(plan, "SMALLEST", 10)
    build(source, tmp_path / "data", size=SIZE, crop="whole", beam="")
    assert first.stat().st_mtime_ns == before
    assert contents(tmp_path / "data") == contents(tmp_path / "pool")


@needs_beam
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("projct=p", "Beam knows no option projct"),
        ("direct_num_workers=many", "Beam cannot read a value in it"),
        ("runner=DataflowRunner,project=p", r"data_dir .*frames/1.0.0: Dataflow's machines see"),
    ],
)
def test_bad_options_are_one_line(source, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        build(source, tmp_path / "data", size=SIZE, crop="whole", beam=options)
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not needs_beam.args[0], reason="Apache Beam is installed")
def test_without_beam_a_message_names_the_extra(source, tmp_path):
    with pytest.raises(UserError, match=r"pip install 'micron-jax\[beam\]'"):
        build(source, tmp_path / "data", size=SIZE, crop="whole", beam="runner=DirectRunner")
    assert not (tmp_path / "data").exists()

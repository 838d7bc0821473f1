"""Shards: how clips are parted, builds that are stopped and go on, and who builds them."""

import os
import signal
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from micron_jax.datasets.frames import describe, open_frames, plan, pool
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError
from micron_jax.faces import crop

SIZE = 16
CLIPS, FRAMES = 6, 10


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST", 2 * FRAMES)


@pytest.fixture
def source(tmp_path):
    """Crops: nothing has to be found in them, by whatever process."""
    rng = np.random.default_rng(0)
    for clip in range(CLIPS):
        folder = tmp_path / "source" / f"clip{clip}"
        folder.mkdir(parents=True)
        for number in range(FRAMES):
            picture = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
            picture = cv2.resize(picture, (20, 24), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
    (folder / "3.png").write_bytes(b"")
    return tmp_path / "source"


def build_crops(source, data_dir, **settings):
    return build(source, data_dir, **{"size": SIZE, "crop": "whole", **settings})


def contents(data_dir):
    folder = data_dir / "frames" / "1.0.0"
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def uninterrupted(source, tmp_path):
    """The files of an uninterrupted build by one process."""
    build_crops(source, tmp_path / "whole")
    return contents(tmp_path / "whole")


def test_shards_hold_neighbors_and_depend_on_the_clips_alone(monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST", 256)
    assert plan.part([100] * 5) == [range(0, 3), range(3, 5)]
    assert plan.part([20_000, 10, 10]) == [range(0, 1), range(1, 3)]
    million = plan.part([100] * 10_000)
    assert {len(numbers) for numbers in million[:-1]} == {157}  # 15,625 frames and a bit
    assert len(plan.part([1_000] * 100_000)) == 5_883  # 17,000 of them each


def test_whole_frames(source, tmp_path):
    build_crops(source, tmp_path / "data", quality=100)
    records, clips = open_frames(tmp_path / "data")
    assert [clip.name for clip in clips[-3:]] == ["clip4", "clip5", "clip5#2"]
    assert len(records) == CLIPS * FRAMES - 1
    stored = cv2.imdecode(np.frombuffer(records[12]["image"], np.uint8), cv2.IMREAD_COLOR)
    picture = cv2.imread(str(source / "clip1" / "2.png"))
    expected = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(stored.astype(int) - expected).mean() < 8  # another frame: 60 and more
    assert describe(tmp_path / "data")["recipe"]["crop"] == "whole"


def kill_at(call, source, data_dir, workers=1):
    """Builds in another process, which a SIGKILL ends at its n-th crop."""
    script = f"""
        import os, signal
        from micron_jax.faces import crop
        from micron_jax.datasets.frames import plan
        from micron_jax.datasets.frames.builder import build
        plan.SMALLEST = {2 * FRAMES}
        warp, calls = crop.warp, []
        def deadly(*arguments):
            calls.append(1)
            if len(calls) == {call}:
                os.kill(os.getpid(), signal.SIGKILL)
            return warp(*arguments)
        crop.warp = deadly
        build({str(source)!r}, {str(data_dir)!r}, size={SIZE}, crop="whole")
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert process.returncode == -signal.SIGKILL


def test_a_killed_build_continues_to_the_same_bytes(source, uninterrupted, tmp_path, monkeypatch):
    data_dir = tmp_path / "data"
    kill_at(4.5 * FRAMES, source, data_dir)
    half = contents(data_dir)
    assert sum("array_record" in name for name in half) == 2  # of three shards
    assert sum(name.endswith(".incomplete") for name in half) == 1
    with pytest.raises(UserError, match="no data set `frames`"):
        open_frames(data_dir)
    with pytest.raises(UserError, match=r"was begun with size 16; remove .* or name another"):
        build_crops(source, data_dir, size=32)
    with pytest.raises(UserError, match=r"was begun with crop whole; remove"):
        build_crops(source, data_dir, crop="face")
    assert contents(data_dir) == half

    crops = []
    warp = crop.warp
    monkeypatch.setattr(crop, "warp", lambda *a: crops.append(1) or warp(*a))
    assert build_crops(source, data_dir) is True
    assert len(crops) == 2 * FRAMES - 1  # the last shard's alone
    assert contents(data_dir) == uninterrupted
    assert build_crops(source, data_dir) is False


def test_a_build_killed_before_its_first_shard_binds_to_nothing(source, uninterrupted, tmp_path):
    kill_at(5, source, tmp_path / "data")
    folder = tmp_path / "data" / "frames" / "1.0.0"
    assert (folder / ".build" / "plan.json").is_file()
    (folder / "frames-train.array_record-00000-of-00007").touch()  # and it had no report yet
    assert build_crops(source, tmp_path / "data", size=24) is True
    assert describe(tmp_path / "data")["recipe"]["size"] == 24
    assert contents(tmp_path / "data").keys() == uninterrupted.keys()


def test_a_shard_that_is_cut_short_is_built_again(source, uninterrupted, tmp_path, monkeypatch):
    data_dir = tmp_path / "data"
    monkeypatch.setattr("micron_jax.datasets.frames.builder._finish", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_crops(source, data_dir)
    monkeypatch.undo()
    monkeypatch.setattr(plan, "SMALLEST", 2 * FRAMES)
    first = data_dir / "frames" / "1.0.0" / "frames-train.array_record-00000-of-00003"
    first.write_bytes(first.read_bytes()[:1000])  # as when a machine loses its power
    build_crops(source, data_dir)
    assert contents(data_dir) == uninterrupted


def test_leftovers_of_a_late_kill_are_removed(source, uninterrupted, tmp_path):
    build_crops(source, tmp_path / "data")
    progress = tmp_path / "data" / "frames" / "1.0.0" / ".build"
    progress.mkdir()
    (progress / "00000.json").write_text("{}")
    assert build_crops(source, tmp_path / "data") is False
    assert contents(tmp_path / "data") == uninterrupted


def test_processes_build_the_same(source, uninterrupted, tmp_path, capsys, monkeypatch):
    assert build_crops(source, tmp_path / "data", workers=2) is True
    assert contents(tmp_path / "data") == uninterrupted
    assert f"{CLIPS * FRAMES}/{CLIPS * FRAMES}" in capsys.readouterr().err


def test_a_dead_worker_is_named_and_finished_shards_stay(
    source, uninterrupted, tmp_path, monkeypatch
):
    submitted = []

    class Pool(pool.concurrent.futures.ProcessPoolExecutor):
        def submit(self, function, shard):
            submitted.append(shard)
            if len(submitted) == 1:
                self.first = super().submit(function, shard)
                return self.first
            self.first.result()  # is built by then
            return super().submit(os._exit, 9)

    monkeypatch.setattr(pool.concurrent.futures, "ProcessPoolExecutor", Pool)
    with pytest.raises(UserError, match=r"a worker process died .*workers=2.*start again"):
        build_crops(source, tmp_path / "data", workers=2)
    monkeypatch.undo()
    monkeypatch.setattr(plan, "SMALLEST", 2 * FRAMES)
    assert any(tmp_path.glob("data/frames/1.0.0/*00000-of-00003"))
    build_crops(source, tmp_path / "data")
    assert contents(tmp_path / "data") == uninterrupted


def test_workers_end_with_their_parent(source, tmp_path):
    """A killed build leaves nobody behind who goes on writing."""
    script = f"""
        import multiprocessing, os, signal, threading, time
        from micron_jax.datasets.frames import plan
        from micron_jax.datasets.frames.builder import build
        def end():
            while len(multiprocessing.active_children()) < 2:
                time.sleep(0.01)
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if __name__ == "__main__":
            plan.SMALLEST = {2 * FRAMES}
            threading.Thread(target=end).start()
            build({str(source)!r}, {str(tmp_path / "data")!r}, crop="whole", workers=2)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    # The pipe closes when the last process that writes to it has ended: else this never returns.
    process = subprocess.run([sys.executable, str(path)], stdout=subprocess.PIPE, timeout=60)
    assert process.returncode == -signal.SIGKILL
    for pid in process.stdout.split():
        assert not os.path.exists(f"/proc/{int(pid)}")

"""The command on a disk that fills up, or becomes read-only, while it trains."""

import re
import signal
import subprocess
import threading
import time

import pytest
from helpers.patience import Patience
from helpers.runs import arrays_of, start, wait_for_step
from helpers.small_disk import mount, small_disk

from micron_jax.training.checkpoint import read_weights
from micron_jax.training.telemetry import read_metrics

pytestmark = pytest.mark.slow

# More steps than it will take: each test ends its run itself.
ENDLESS = ["--config.epochs=20000", "--config.checkpoint_every=5", "--config.picture_every=20"]


@pytest.fixture
def disk(tmp_path):
    """40 MB."""
    with small_disk(tmp_path / "disk", "40m", lazily=True) as folder:
        yield folder


@pytest.fixture
def begin(run_config, disk):
    """begin(*settings) -> a run on the disk that has saved step 5."""
    children = []

    def begin(*settings):
        children.append(Run(start(run_config, disk / "run", *ENDLESS, *settings, devices=1)))
        wait_for_step(children[-1].process, disk / "run", 12)
        return children[-1]

    yield begin
    for run in children:
        run.process.kill()
        run.process.wait()


def fill(disk):
    """Leaves no room at all."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


class Run:
    """A run whose output is read as it comes."""

    def __init__(self, process):
        self.process, self.said = process, ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said += line

    def until(self, *texts):
        """Waits until it has said all of these."""
        patience = Patience(self.process.pid)
        while not all(text in self.said for text in texts):
            assert not patience.is_over(), f"never said all of {texts}: {self.said[-2000:]}"
            time.sleep(0.01)

    def until_saves_fail(self):
        """Waits for two that did; the step of the last good one."""
        patience = Patience(self.process.pid)
        while (
            len(failed := re.findall(r"not written \(.*; the last good one is (\d+)", self.said))
            < 2
        ):
            assert not patience.is_over(), self.said[-2000:]
            time.sleep(0.01)
        return int(failed[0])

    def end(self):
        """Its exit status, and what it said."""
        patience = Patience(self.process.pid)
        while (code := self.process.poll()) is None:
            assert not patience.is_over(), self.said[-2000:]
            time.sleep(0.05)
        self._reader.join()
        return code, self.said

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code, said = self.end()
        assert code == 128 + signal.SIGTERM, said[-2000:]
        assert "which is saved; the same command goes on" in said


def steps_in(workdir):
    return [row["step"] for row in read_metrics(workdir)]


def test_a_full_disk_is_reported_and_training_continues(disk, begin):
    workdir = disk / "run"
    run = begin()
    fill(disk)
    reason = "not written (No space left on device); the run goes on"
    good = run.until_saves_fail()
    run.until(f"pictures: {reason}", f"metrics.jsonl: {reason}")
    assert read_weights(workdir)[0] == good
    (disk / "filler").unlink()
    wait_for_step(run.process, workdir, max(steps_in(workdir)) + 20)
    run.stop()
    last, *_ = arrays_of(workdir)
    assert last > good
    assert steps_in(workdir) == [*range(1, last + 1)], "lines waited until there was room"


def test_a_full_disk_stops_by_config(disk, begin):
    workdir = disk / "run"
    run = begin("--config.on_save_error=stop")
    fill(disk)
    code, said = run.end()
    assert code == 2, said[-2000:]
    line = said.splitlines()[-1]
    assert line.startswith("micron-jax: ")
    assert "No space left" in line or "RESOURCE_EXHAUSTED" in line, line
    good = read_weights(workdir)[0]
    assert f"the last good checkpoint ({good}) is kept: mend that, and the same command" in line
    (disk / "filler").unlink()
    run = begin("--config.on_save_error=stop")
    run.until(f"going on at step {good}")
    wait_for_step(run.process, workdir, max(steps_in(workdir)) + 5)
    run.stop()
    assert steps_in(workdir) == [*range(1, arrays_of(workdir)[0] + 1)]


def test_a_read_only_folder_is_reported_and_training_continues(disk, begin):
    workdir, folder = disk / "run", disk / "run" / "checkpoints"
    run = begin()
    assert mount("--bind", folder, folder)
    assert mount("-o", "remount,ro,bind", folder)
    good = run.until_saves_fail()
    assert re.search(r"checkpoints/\d+: not written \(.*Read-only file system", run.said)
    assert read_weights(workdir)[0] == good
    subprocess.run(["umount", "-l", str(folder)], check=True)
    wait_for_step(run.process, workdir, max(steps_in(workdir)) + 20)
    run.stop()
    assert arrays_of(workdir)[0] > good

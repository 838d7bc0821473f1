"""200,000 frames: bounded memory, killed half-way, the same bytes, pairs read back.

python -m pytest tests/datasets/frames/test_scale.py -m slow -s
"""

import os
import signal
import subprocess
import sys
import textwrap
import time

import cv2
import numpy as np
import pytest
from helpers.films import write_video

from micron_jax.data.pipeline import make_pairs
from micron_jax.datasets.frames import open_frames

SIDE, CLIP = 32, 500
BUILD = """
    import resource, sys
    from micron_jax.datasets.frames.builder import build
    if __name__ == "__main__":
        source, data_dir, workers = sys.argv[1:]
        build(source, data_dir, size=32, crop="whole", workers=int(workers))
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            print(resource.getrusage(who).ru_maxrss // 1024)
"""


def write_clips(folder, count):
    """Half of the clips videos, half folders, a tenth of them with a frame that is broken."""
    rng = np.random.default_rng(0)
    for clip in range(count):
        level = cv2.resize(rng.integers(0, 200, (4, 4, 3), dtype=np.uint8), (SIDE, SIDE))
        pictures = (np.roll(level, t, axis=t % 2) for t in range(CLIP))
        if clip % 2:
            path = folder / f"person{clip // 20:03}" / f"clip{clip:04}.avi"
            write_video(path, list(pictures), 30, codec="mjpeg", pixels="yuvj420p")
            continue
        path = folder / f"person{clip // 20:03}" / f"clip{clip:04}"
        path.mkdir(parents=True)
        for number, picture in enumerate(pictures):
            (path / f"{number}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        if clip % 10 == 0:
            (path / "77.jpg").write_bytes(b"")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "build.py"
    path.write_text(textwrap.dedent(BUILD))
    return [sys.executable, str(path)]


def timed_build(command, source, data_dir, workers):
    """-> (seconds, peak MB of the process, of its largest worker)."""
    start = time.perf_counter()
    build = subprocess.run(
        [*command, source, data_dir, str(workers)], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    return seconds, *(int(line) for line in build.stdout.split())


def show(capsys, frames, workers, seconds, peaks):
    with capsys.disabled():
        print(
            f"\n{frames:,} frames in {seconds:,.0f} s, workers: {workers}, peak of the process "
            f"{peaks[0]} MB, of the largest worker {peaks[1]} MB"
        )


def contents(data_dir):
    """Name -> bytes; the largest of these sets is some 400 MB."""
    folder = data_dir / "frames" / "1.0.0"
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_a_large_corpus(command, tmp_path, capsys):
    write_clips(tmp_path / "small", 40)
    write_clips(tmp_path / "large", 400)
    peaks = {}
    for name, workers in (("small", 1), ("small", 2), ("large", 1)):
        seconds, *peaks[name, workers] = timed_build(
            command, tmp_path / name, tmp_path / f"{name}{workers}", workers
        )
        frames = len(open_frames(tmp_path / f"{name}{workers}")[0])
        show(capsys, frames, workers, seconds, peaks[name, workers])

    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [*command, tmp_path / "large", killed, "2"], process_group=0, stderr=subprocess.DEVNULL
    )
    progress = killed / "frames" / "1.0.0" / ".build"
    while len(list(progress.glob("[0-9]*.json"))) < 32:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    times = {path: path.stat().st_mtime_ns for path in progress.parent.glob("*array_record*")}
    seconds, *peaks["large", 2] = timed_build(command, tmp_path / "large", killed, 2)
    finished = sum(path.stat().st_mtime_ns == then for path, then in times.items())
    assert finished >= 32
    expected = contents(tmp_path / "large1")
    assert contents(killed) == expected
    count = sum("array_record" in path.name for path in expected)
    show(capsys, 400 * CLIP - 40, 2, seconds, peaks["large", 2])
    with capsys.disabled():
        print(f"killed when it had {finished} of {count} shards; resumed, the same bytes")
    for workers in (1, 2):
        peak, worker_peak = peaks["small", workers]
        assert peaks["large", workers][0] < 1.1 * peak + 20
        assert peaks["large", workers][1] < 1.1 * worker_peak + 20

    source, clips = open_frames(killed)
    assert len(source) == 400 * CLIP - 40
    pairs = make_pairs(source, clips, batch_size=256, delta_seconds=(5 / 30, 11 / 30), seed=0)
    next(pairs)
    start = time.perf_counter()
    for _ in range(100):
        batch = next(pairs)
    rate = 100 * 256 / (time.perf_counter() - start)
    pairs.close()
    assert batch["cur"].shape == batch["ref"].shape == (256, SIDE, SIDE, 3)
    with capsys.disabled():
        print(f"random pairs: {rate:,.0f} a second, read and decoded, {SIDE} px")

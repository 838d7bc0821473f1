import re
import subprocess

import numpy as np
import pytest
from helpers.films import decode_by_ffmpeg, gradient
from helpers.small_disk import small_disk
from imageio_ffmpeg import get_ffmpeg_exe as ffmpeg

from micron_jax.video.film import read_film
from micron_jax.video.film_writer import FilmWriter

FRAMES = [gradient(48, 64, shift) // 2 + 60 for shift in range(0, 40, 4)]


def write(path, seconds, frames=FRAMES):
    with FilmWriter(path, 64, len(frames[0])) as film:
        for image, second in zip(frames, seconds, strict=True):
            film.add(image, second)


def test_browsers_and_players_show_a_film(tmp_path):
    path = tmp_path / "out.mp4"
    write(path, np.arange(10) / 25)
    report = subprocess.run([ffmpeg(), "-i", path], capture_output=True, text=True).stderr
    assert re.search(r"h264 \(High\).* yuv420p\(tv, bt709.*64x48", report)
    assert "Duration: 00:00:00.40" in report
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # a browser begins before it has all
    frames = np.array([frame for *_, frame in read_film(path)])
    assert np.abs(frames.astype(int) - np.array(FRAMES)).mean() < 4
    assert np.abs(frames.astype(int) - decode_by_ffmpeg(path, (48, 64))).mean() < 1


def test_frames_keep_their_times(tmp_path):
    path = tmp_path / "out.mp4"
    seconds = np.array([0, 0.05, 0.07, 0.4, 0.41, 0.5, 0.7, 0.8, 3.0, 3.1])
    write(path, seconds)
    np.testing.assert_allclose([s for _, s, _ in read_film(path)], seconds, atol=2e-5)


def test_a_film_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="shorter"):
        write(path, [0.0, 0.1])
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", ["4k", "64k"])
def test_a_full_disk_is_an_error_without_a_traceback(tmp_path, capfd, size):
    noise = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), np.uint8)
    with small_disk(tmp_path / "disk", size) as disk:
        with pytest.raises(OSError, match="No space left on device"):
            write(disk / "out.mp4", np.arange(60) / 25, noise)
        assert not [*disk.iterdir()]
    assert "Traceback" not in capfd.readouterr().err

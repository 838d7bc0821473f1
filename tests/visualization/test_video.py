import dataclasses

import numpy as np
import pytest
from helpers import drawn

from micron_jax.spotting import Interval, Timeline
from micron_jax.video.film import read_film
from micron_jax.visualization import video


@pytest.fixture
def timeline():
    """Of 24 frames in which something comes and goes."""
    energy = np.clip(1 - np.abs(np.arange(24) - 12) / 4, 0, None).astype(np.float32)
    return Timeline(
        fps=30.0,
        delta=8,
        kind="cosine",
        numbers=np.arange(24),
        seconds=np.arange(24) / 30,
        before=np.maximum(0, np.arange(24) - 8),
        after=np.minimum(23, np.arange(24) + 8),
        maps=energy[:, None, None] * np.eye(4, dtype=np.float32),
        flow=np.zeros((24, 4, 4), np.float32),
        energy=energy,
        salience=energy,
        flow_energy=np.zeros(24, np.float32),
        intervals=[Interval(9, 12, 15, 1.0, 1.0, 50.0, "mouth")],
    )


def film(path, timeline, count=24):
    with video.AnnotatedVideo(path, timeline) as annotated:
        for index in range(count):
            assert not path.exists()
            annotated.add(index, drawn.face(3))
    return path


def test_a_browser_plays_the_video(timeline, browser, tmp_path):
    film(tmp_path / "annotated.mp4", timeline)
    (tmp_path / "page.html").write_text("<video src='annotated.mp4' muted autoplay></video>")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    kind = "video/mp4; codecs=avc1.640028"
    if not page.evaluate(f"document.createElement('video').canPlayType('{kind}')"):
        pytest.skip("this Chromium was built without H.264")
    element = "document.querySelector('video')"
    page.wait_for_function(f"{element}.ended", timeout=20_000)
    state, height, seconds = page.evaluate(
        f"[{element}.readyState, {element}.videoHeight, {element}.duration]"
    )
    page.close()
    assert state >= 2
    assert height == video.SIDE + video.LINE + video.CURVE
    assert seconds == pytest.approx(24 / 30)


def test_times_are_those_of_the_frames_and_fast_recordings_are_slowed(timeline, tmp_path):
    seconds = np.r_[np.arange(12) / 30, 0.4 + np.arange(12) / 10]
    slow = dataclasses.replace(timeline, seconds=5 + seconds)
    times = [second for _, second, _ in read_film(film(tmp_path / "a.mp4", slow))]
    np.testing.assert_allclose(times, seconds, atol=2e-5)
    fast = dataclasses.replace(timeline, fps=200.0, seconds=np.arange(24) / 200)
    times = [second for _, second, _ in read_film(film(tmp_path / "b.mp4", fast))]
    np.testing.assert_allclose(times, np.arange(24) / 30, atol=2e-5)


def test_a_film_is_whole_or_not_there(timeline, tmp_path):
    path = tmp_path / "annotated.mp4"
    with pytest.raises(IndexError):
        film(path, timeline, 25)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        film(tmp_path / "gone" / "annotated.mp4", timeline)

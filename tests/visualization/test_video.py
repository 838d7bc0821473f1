import numpy as np
import pytest
from helpers import drawn

import micron_jax
from micron_jax.cli import main
from micron_jax.spotting import Interval, Timeline
from micron_jax.video.film import read_film
from micron_jax.visualization import folder, video


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
        maps=energy[:, None, None] * np.eye(4, dtype=np.float32),
        flow=np.zeros((24, 4, 4), np.float32),
        energy=energy,
        flow_energy=np.zeros(24, np.float32),
        intervals=[Interval(9, 12, 15, 1.0, 50.0, "mouth")],
    )


@pytest.fixture
def codec():
    """`video.codec`, forgetful before and after."""
    video.codec.cache_clear()
    yield video.codec
    video.codec.cache_clear()


def film(path, timeline):
    annotated = video.AnnotatedVideo(path, timeline)
    for index in range(len(timeline.energy)):
        annotated.add(index, drawn.face(3))
    annotated.close()
    return path


def test_a_browser_plays_the_video(timeline, browser, tmp_path):
    film(tmp_path / "annotated.mp4", timeline)
    (tmp_path / "page.html").write_text("<video src='annotated.mp4' muted autoplay></video>")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    element = "document.querySelector('video')"
    page.wait_for_function(f"{element}.ended", timeout=20_000)
    state, height, seconds = page.evaluate(
        f"[{element}.readyState, {element}.videoHeight, {element}.duration]"
    )
    page.close()
    assert state >= 2
    assert height == video.SIDE + video.LINE + video.CURVE
    assert seconds == pytest.approx(24 / 30)


def test_without_vp9_a_message_names_video_players(timeline, codec, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(video, "BROWSERS", "none")
    assert codec() == video.PLAYERS
    _, _, frame = next(read_film(film(tmp_path / "annotated.mp4", timeline)))
    assert frame.std() > 20
    monkeypatch.setattr(micron_jax, "load", lambda checkpoint: None)
    monkeypatch.setattr(folder, "visualize", lambda *args, **settings: timeline)
    drawn.write(tmp_path / "clip" / "1.png", 3)
    paths = ["--input", str(tmp_path / "clip"), "--output", str(tmp_path / "out")]
    assert main(["visualize", "--checkpoint", "x", *paths]) == 0
    assert "annotated.mp4 is for video players: " in capsys.readouterr().out

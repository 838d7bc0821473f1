import numpy as np
import pytest
from helpers import drawn

from micron_jax.errors import UserError
from micron_jax.synthetic import codecs
from micron_jax.video.film import read_film


def frames(height, width, count=9):
    """A texture that moves by a pixel a frame; each frame also has a gray level of its own."""
    wide = drawn.texture(0, (height, width + count), grain=3.0) // 2
    return np.stack([wide[:, t : t + width] + np.uint8(4 * t) for t in range(count)])


@pytest.mark.parametrize("codec", codecs.CODECS)
@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_a_round_trip_keeps_order_size_and_gray(codec, size):
    original = frames(*size)
    decoded = codecs.round_trip(original, codec, 25.0)
    assert decoded.shape == original.shape
    assert decoded.dtype == np.uint8
    error = np.abs(decoded.astype(float)[:, None] - original).mean(axis=(2, 3, 4))  # [T, T]
    np.testing.assert_array_equal(error.argmin(axis=1), np.arange(len(original)))
    assert error.diagonal().max() < (0.1 if codec == "none" else 8)


@pytest.mark.parametrize("codec", codecs.CODECS)
def test_a_film_file_holds_what_the_round_trip_gives(codec, tmp_path):
    original, seconds = frames(64, 96), 3.0 + np.arange(9) / 29.97
    paths = [tmp_path / f"{name}{codecs.CODECS[codec].suffix}" for name in "ab"]
    for path in paths:
        codecs.write_film(path, original, codec, seconds)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    numbers, times, images = zip(*read_film(paths[0]), strict=True)
    assert numbers == tuple(range(9))
    np.testing.assert_allclose(times, seconds - 3.0, atol=0.0006)
    np.testing.assert_array_equal(images, codecs.round_trip(original, codec, 29.97))


def test_frames_of_a_phone_keep_their_own_times(tmp_path):
    seconds = np.array([0.0, 0.033, 0.067, 0.2, 0.21])
    codecs.write_film(tmp_path / "a.mp4", frames(64, 64, 5), "h264_phone", seconds)
    times = [time for _, time, _ in read_film(tmp_path / "a.mp4")]
    np.testing.assert_allclose(times, seconds, atol=1e-4)


@pytest.mark.parametrize("codec", codecs.CODECS)
def test_two_frames_of_one_time_stay_two_frames(codec, tmp_path):
    path = tmp_path / f"a{codecs.CODECS[codec].suffix}"
    codecs.write_film(path, frames(64, 64, 4), codec, np.array([0.0, 0.04, 0.04, 0.08]))
    times = [time for _, time, _ in read_film(path)]
    np.testing.assert_allclose(times, (0.0, 0.04, 0.041, 0.08), atol=0.0006)


def test_a_lower_rate_costs_more(tmp_path):
    original = frames(64, 96)
    error = {
        codec: np.abs(codecs.round_trip(original, codec).astype(float) - original).mean()
        for codec in codecs.CODECS
    }
    assert 0 == error["none"] < error["h264_high"] < error["h264_phone"] < error["h264_low"]


def test_one_frame_and_none():
    assert codecs.round_trip(frames(64, 64, 1), "vp9").shape == (1, 64, 64, 3)
    assert codecs.round_trip(frames(64, 64, 1)[:0], "mjpeg").shape == (0, 64, 64, 3)


def test_an_unknown_codec_is_one_line():
    with pytest.raises(UserError, match="codec='h263': choose one of none, h264_low"):
        codecs.round_trip(frames(64, 64, 2), "h263")

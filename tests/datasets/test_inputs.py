import numpy as np
import pytest
from helpers import drawn

from micron_jax.datasets import inputs
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.inputs import find_in_set
from micron_jax.errors import UserError
from micron_jax.faces.crop import place_crop
from micron_jax.video.image_files import Unreadable, encode_jpeg


@pytest.fixture
def casme2(monkeypatch):
    """A set as `open_clips` gives it, its second clip with a frame that is no picture."""
    picture = encode_jpeg(drawn.texture(0, (30, 60)))
    samples = [
        Sample("casme2", f"sub01/EP0{n}", "01", "others", "", 46, 50, 49 + n, 200.0) for n in (1, 2)
    ]
    source = [
        {"frames": {"image": 5 * [picture], "number": range(46, 51)}},
        {"frames": {"image": [picture, b"", picture], "number": [46, 48, 50]}},
    ]
    monkeypatch.setattr(inputs, "open_clips", lambda data_dir, name: (source, samples))
    monkeypatch.setattr(inputs, "built_keep", lambda data_dir, name: "clip")


def test_clips_of_a_set_have_their_numbers_and_times(casme2):
    one, other = find_in_set("data", "casme2")
    assert (one.name, one.fps, one.count, one.stride) == ("casme2/sub01/EP01", 200, 5, 1)
    numbers, seconds, frames = zip(*one.read(), strict=True)
    assert numbers == (46, 47, 48, 49, 50)
    np.testing.assert_allclose(seconds, np.arange(46, 51) / 200)
    assert {frame.shape for frame in frames} == {(30, 60, 3)}
    frames = [frame for _, _, frame in other.read()]
    assert [isinstance(frame, Unreadable) for frame in frames] == [False, True, False]
    assert len([*other.readable()]) == 2
    cut = place_crop(one.frames(), "whole", 32, None)
    assert cut.aspect == 2
    assert cut(frames[0]).shape == (32, 32, 3)


def test_a_built_pair_is_one_step_apart(casme2, monkeypatch):
    monkeypatch.setattr(inputs, "built_keep", lambda data_dir, name: "pair")
    (clip,) = find_in_set("data", "casme2", "sub01/EP01")
    assert (clip.count, clip.stride) == (2, 4)  # the frames 46 and 50


def test_an_unknown_clip_is_named(casme2):
    with pytest.raises(UserError, match="--clip x: no such clip in casme2; it has sub01/EP01"):
        find_in_set("data", "casme2", "x")

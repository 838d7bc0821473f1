import numpy as np
import pytest
from helpers import tiny
from helpers.bump import bump
from helpers.drawn_weights import draw_weights

from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert
from micron_jax.spotting import measure_timeline
from micron_jax.spotting.partners import Partners
from micron_jax.spotting.timeline import _Compared, _of_frames, energy_of, transient


def transient_of(state, seconds, delta=0.25):
    """What comes and goes in a number that changes over time; [T]."""
    partners = Partners(delta)
    pairs = list(partners.pair(zip(seconds, np.asarray(state, float)[:, None], strict=True)))
    compared = (_Compared(*[np.abs(frame - other)[None]] * 3) for frame, other in pairs)
    frames = _of_frames(compared, partners)
    return partners, np.array([transient(a.own, b.own)[0, 0] for a, b in frames])


@pytest.mark.parametrize(("count", "delta"), [(9, 3), (9, 1), (3, 5), (2, 1), (4, 4), (1, 2)])
def test_transient_is_the_smaller_difference_of_both_sides(count, delta):
    state = np.random.default_rng(0).normal(size=count)
    expected = [
        min(
            abs(state[t] - state[max(0, t - delta)]),
            abs(state[t] - state[min(count - 1, t + delta)]),
        )
        for t in range(count)
    ]
    partners, values = transient_of(state, np.arange(count) / 30, delta / 30)
    np.testing.assert_allclose(values, expected)
    assert partners.before == [max(0, t - delta) for t in range(count)]
    assert partners.after == [min(count - 1, t + delta) for t in range(count)]


def test_a_passing_change_counts_and_a_lasting_one_does_not():
    for state, expected in ((np.arange(30) >= 15, 0), (bump(30, 15, 4), 1)):
        assert transient_of(state, np.arange(30) / 30, 5 / 30)[1].max() == expected


@pytest.mark.parametrize(("fps", "frames"), [(25, 6), (30, 8), (200, 50)])
def test_partners_are_a_quarter_of_a_second_away_at_any_rate(fps, frames):
    count = 2 * fps
    partners, _ = transient_of(np.zeros(count), np.arange(count) / fps)
    assert partners.after == [min(count - 1, t + frames) for t in range(count)]
    assert partners.before == [max(0, t - frames) for t in range(count)]
    assert abs(frames / fps - 0.25) <= 0.5 / fps + 1e-9
    _, pairs = count_pairs(np.arange(count) / fps)
    assert pairs == count + frames, "each pair is compared once"


def count_pairs(seconds):
    partners = Partners(0.25)
    pairs = list(partners.pair((s, np.zeros(1)) for s in seconds))
    return partners, len(pairs)


def test_partners_in_a_variable_rate_go_by_the_times():
    seconds = np.concatenate([np.arange(30) / 30, 1 + np.arange(15) / 10])
    partners, _ = count_pairs(seconds)
    for t, (before, after) in enumerate(zip(partners.before, partners.after, strict=True)):
        if seconds[t] >= 0.25:
            nearest = np.abs(seconds[:t] - (seconds[t] - 0.25)).min()
            assert abs(seconds[t] - seconds[before] - 0.25) <= nearest + 2.5e-3
        if seconds[t] <= seconds[-1] - 0.25:
            nearest = np.abs(seconds[t + 1 :] - (seconds[t] + 0.25)).min()
            assert abs(seconds[after] - seconds[t] - 0.25) <= nearest + 2.5e-3


def test_milliseconds_change_no_partner():
    exact = np.arange(90) / 30
    rounded = [count_pairs(times)[0] for times in (exact, exact.round(3))]
    assert rounded[0].before == rounded[1].before
    assert rounded[0].after == rounded[1].after


def test_a_hole_in_time_is_an_end_on_either_side():
    seconds = np.concatenate([np.arange(12) / 30, [3.0], 6 + np.arange(12) / 30])
    partners, _ = count_pairs(seconds)
    assert partners.before == [*(max(0, t - 8) for t in range(12)), 12] + [
        13 + max(0, t - 8) for t in range(12)
    ]
    assert partners.after == [*(min(11, t + 8) for t in range(12)), 12] + [
        13 + min(11, t + 8) for t in range(12)
    ]


def small_model():
    return MicronBert(draw_weights(tiny.PAPER, decoder=False))


def clip(seconds, same=False):
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (32, 32, 3), np.uint8)
    for n, second in enumerate(seconds):
        yield n, second, still if same else np.roll(still, n % 2, axis=1)


@pytest.mark.usefixtures("quickly")
def test_a_timeline_tells_its_times():
    seconds = [*(np.arange(20) / 25), 5.0, *(10 + np.arange(20) / 25)]
    timeline = measure_timeline(small_model(), clip(seconds), fps=999, faces=False)
    np.testing.assert_array_equal(timeline.seconds, seconds)
    assert (timeline.fps, timeline.delta) == (25, 6)
    np.testing.assert_allclose(timeline.durations(), 1 / 25)
    np.testing.assert_allclose(timeline.seconds[10] - timeline.seconds[timeline.before[10]], 0.24)
    assert timeline.notes == ["1 frames have no other within 0.5 s"]


@pytest.mark.usefixtures("quickly")
def test_a_clip_without_pairs_and_one_without_change_are_told():
    with pytest.raises(
        UserError, match=r"frames are 10 s apart, .*at most 0.5 s: there is no pair"
    ):
        measure_timeline(small_model(), clip([0, 10, 20]), fps=30, faces=False)
    still = measure_timeline(small_model(), clip(np.arange(9) / 30, same=True), fps=30, faces=False)
    assert still.notes == ["all 9 frames are the same picture, bit for bit"]
    assert still.intervals == []
    assert still.energy.max() < 1e-5


def test_energy_is_the_mean_of_the_highest_twentieth():
    maps = np.zeros((2, 10, 10), np.float32)
    maps[0, 0, :5] = [1, 2, 3, 4, 5]
    everywhere = np.ones((10, 10), bool)
    assert [energy_of(each, everywhere) for each in maps] == [3, 0]
    elsewhere = np.arange(100).reshape(10, 10) >= 5
    assert [energy_of(each, elsewhere) for each in maps] == [0, 0]


def test_of_displacements_a_motion_that_goes_on_leaves_nothing():
    """A patch that moves right by a px a frame, and another that comes and goes."""
    seconds = np.arange(40) / 30
    place = np.stack([np.arange(40.0), 3 * bump(40, 20, 4)], -1)
    partners = Partners(8 / 30)
    pairs = list(partners.pair(zip(seconds, place, strict=True)))
    moved = (
        _Compared(*[np.stack([frame - other, 0 * frame], -1)[None]] * 2, np.zeros((1, 2)))
        for frame, other in pairs
    )
    found = np.stack([transient(a.own, b.own)[0] for a, b in _of_frames(moved, partners)])
    assert len(found) == 40
    np.testing.assert_allclose(found[8:32, 0], 0)
    assert found[:, 1].argmax() == 20
    np.testing.assert_allclose(found[20, 1], 3, atol=1e-6)

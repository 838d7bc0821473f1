"""Onset, apex and offset as sheets write them."""

import pytest

from micron_jax.datasets.long_videos.times import (
    NO_APEX,
    NO_OFFSET,
    OUTSIDE,
    TimeFault,
    frame_number,
    kind_by_duration,
    kind_of,
    read_times,
)


@pytest.mark.parametrize(
    ("texts", "times", "reasons"),
    [
        (("557", "572", "608"), (557, 572, 608), []),
        (("566.4", "647.6", "743.2"), (566.4, 647.6, 743.2), []),
        (("2155", "2163", "0"), (2155, 2163, 2163), [NO_OFFSET]),
        (("2155", "2163", ""), (2155, 2163, 2163), [NO_OFFSET]),
        (("2155", "2163", "-1"), (2155, 2163, 2163), [NO_OFFSET]),
        (("1763", "0", "1787"), (1763, None, 1787), [NO_APEX]),
        (("89", "-1", "209"), (89, None, 209), [NO_APEX]),
        (("89", "/", "209"), (89, None, 209), [NO_APEX]),
        (("89", "", "209"), (89, None, 209), []),
        (("1221", "1230", "1224"), (1221, None, 1224), [OUTSIDE]),
        (("100", "90", "120"), (100, None, 120), [OUTSIDE]),
        (("0", "3323", "4123.4"), (0, 3323, 4123.4), []),
        (("0", "0", "25"), (0, 0, 25), []),
        (("0", "0", "0"), (0, 0, 0), []),
    ],
)
def test_times(texts, times, reasons):
    read, changes = read_times(*texts)
    assert tuple(read) == times
    assert [change.reason for change in changes] == reasons


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("", "5", "9"), "onset: '' is no frame number"),
        (("-1", "5", "9"), "onset: '-1' is no frame number"),
        (("x", "5", "9"), "onset: 'x' is no frame number"),
        (("3", "x", "9"), "apex: 'x' is no frame number"),
        (("3", "5", "x"), "offset: 'x' is no frame number"),
        (("30", "35", "9"), "offset: 9 comes before onset 30"),
        (("30", "", "0"), "offset: '0', and no apex after the onset"),
        (("30", "20", "0"), "offset: '0', and no apex after the onset"),
    ],
)
def test_times_that_are_no_interval(texts, message):
    with pytest.raises(TimeFault, match=message):
        read_times(*texts)


def test_frame_numbers():
    assert [frame_number(text) for text in ("46", "46.0", "46,5", " 7 ", "-1", "1e3", "a")] == [
        *(46, 46, 46.5, 7, -1, None, None)
    ]


def test_kinds():
    words = ("micro-expression", "Micro - 1/2", "me", "ME", "2", "2.0")
    assert {kind_of(word) for word in words} == {"micro"}
    assert {kind_of(w) for w in ("Macro", "macro-expression", "mae", "1")} == {"macro"}
    assert kind_of("  ") == ""
    with pytest.raises(TimeFault, match="'3' is neither"):
        kind_of("3")
    assert [kind_by_duration(0, n, 30) for n in (15, 16)] == ["micro", "macro"]
    assert [kind_by_duration(0, n, 200) for n in (100, 101)] == ["micro", "macro"]

import csv
import dataclasses
import io

import numpy as np
import pytest

from micron_jax.spotting.restless import COLUMNS, restless_spans, table
from micron_jax.spotting.timeline import Timeline


def timeline(energy, seconds, place=(19, 14)):
    maps = np.zeros((len(energy), 28, 28), np.float32)
    maps[(slice(None), *place)] = energy
    return Timeline(
        fps=(len(seconds) - 1) / (seconds[-1] - seconds[0]),
        delta=8,
        kind="motion",
        numbers=np.arange(10, 10 + len(energy)),
        seconds=seconds,
        before=np.arange(len(energy)),
        after=np.arange(len(energy)),
        maps=maps,
        flow=maps,
        energy=np.asarray(energy, np.float32),
        salience=np.asarray(energy, np.float32),
        flow_energy=np.asarray(energy, np.float32),
        intervals=[],
    )


@pytest.mark.parametrize("fps", [25, 60])
def test_a_span_of_speech_is_found_and_a_single_movement_is_none(fps):
    seconds = 5 + np.arange(10 * fps) / fps
    rng = np.random.default_rng(0)
    energy = np.full(len(seconds), 0.05)
    speech = (seconds >= 8) & (seconds < 11)
    energy[speech] = rng.uniform(0.5, 3.0, speech.sum())
    energy[(seconds > 12.2) & (seconds < 12.6)] = 3.0  # an expression
    (span,) = restless_spans(timeline(energy, seconds))
    assert span.seconds == pytest.approx((8, 11), abs=0.15)
    assert span.frames == pytest.approx([10 + (t - 5) * fps for t in span.seconds], abs=1)
    assert (span.part, span.px) == ("mouth", pytest.approx(1.75, abs=0.3))


def test_a_face_that_never_rests_is_one_span_and_a_calm_one_none():
    seconds = np.arange(60) / 30
    (span,) = restless_spans(timeline(np.full(60, 1.0), seconds))
    assert span.frames == (10, 69)
    assert restless_spans(timeline(np.full(60, 0.4), seconds)) == []
    (span,) = restless_spans(timeline(np.full(60, 1.0), seconds), faces=False)
    assert span.part == ""


def test_no_span_reaches_across_a_hole():
    seconds = np.concatenate([np.arange(60) / 30, 9 + np.arange(60) / 30])
    spans = restless_spans(timeline(np.full(120, 1.0), seconds))
    assert [span.frames for span in spans] == [(10, 69), (70, 129)]


def test_the_table_has_a_row_for_each_span():
    seconds = np.arange(60) / 30
    spans = restless_spans(timeline(np.full(60, 1.0), seconds))
    text = table({"a.mp4": [dataclasses.asdict(span) for span in spans], "b.mp4": []})
    (row,) = csv.DictReader(io.StringIO(text))
    assert tuple(row) == COLUMNS
    assert (row["video"], row["first"], row["last"], row["px"]) == ("a.mp4", "10", "69", "1.000")

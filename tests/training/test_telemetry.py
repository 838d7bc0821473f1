"""TensorBoard's files, also on a full disk."""

import resource
import struct
import time

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from micron_jax.config import load, override
from micron_jax.training import telemetry
from micron_jax.training.config import parse
from micron_jax.training.telemetry import EventFolder


def read(path):
    """The events of a file, by TensorFlow's record format: length, its sum, the event, its sum."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("Q", data[:8])
        assert len(data) >= 12 + length + 4, "half an event"
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[12 + length + 4 :]
    return events


def text(path):
    return [
        (event.step, {value.tag: value.simple_value for value in event.summary.value})
        for event in read(path)
        if event.summary.value
    ]


def test_scalars_are_read_back_without_lost_steps(tmp_path):
    folder = tmp_path / "tensorboard"
    written = EventFolder(folder, first_step=3)
    written.add(5, {"train/loss": 0.5, "train/mfu": 0.25})
    written.add(10, {"train/loss": 0.125})
    written.close()
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    assert text(path) == [(5, {"train/loss": 0.5, "train/mfu": 0.25}), (10, {"train/loss": 0.125})]
    version, start, *_ = read(path)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (3, SessionLog.START)


def test_behind_a_full_disk_a_new_file_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(telemetry, "_SECONDS", 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = EventFolder(tmp_path, first_step=1)
    written.add(1, {"train/loss": 1.0})
    (first,) = tmp_path.iterdir()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (first.stat().st_size + 9, before[1]))
        for step in (2, 3):
            with pytest.raises(OSError, match="File too large"):
                written.add(step, {f"train/{i}": 2.0 for i in range(100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    written.add(4, {"train/loss": 4.0})
    written.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert text(max(tmp_path.iterdir())) == [(4, {"train/loss": 4.0})]


def test_for_a_minute_after_an_error_nothing_is_tried(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    written = EventFolder(tmp_path / "file" / "folder", first_step=1)
    with pytest.raises(OSError, match="Not a directory"):
        written.add(1, {"train/loss": 1.0})
    written.add(2, {"train/loss": 1.0})
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: written._try_at + 1)
    with pytest.raises(OSError, match="Not a directory"):
        written.add(3, {"train/loss": 1.0})
    written.close()


def test_damaged_lines_of_metrics_are_left_out(tmp_path):
    lines = [
        b'{"step": 1}',
        b'{"st\xffep": 2}',
        b'{"stop": 3}',
        b"4",
        b'{"step": 5}',
        b'{"step": 6',
    ]
    (tmp_path / telemetry.METRICS_FILE).write_bytes(b"\n".join(lines))
    assert [row["step"] for row in telemetry.read_metrics(tmp_path)] == [1, 5]


def test_the_time_left_does_not_count_what_comes_before_the_first_step(tmp_path):
    values = override(load("pretrain_demo"), ["data.data_dir=none"])
    written = telemetry.Telemetry(tmp_path, parse(values), start=3, total=10)
    time.sleep(0.5)  # compiling
    losses = {"loss": 1.0, "reconstruction": 1.0, "agreement": 0.0}
    for _ in range(2):
        written.progress(losses)
    bar = written._bar
    assert bar.n == 5
    assert bar.format_dict["elapsed"] < 0.3
    written.close()

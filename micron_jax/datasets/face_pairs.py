"""Onset and apex of each micro-expression, as two crops of a face."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.checks import at_least, choose
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.subjects import respelled
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS, NO_FACE, detector, place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.faces.registration import register
from micron_jax.video.image_files import Unreadable, decode_jpeg


@dataclasses.dataclass(frozen=True)
class PairsConfig:
    """Settings of the benchmark's frames, from its sets to the network.

    Attributes:
      data_dir: folder of the built sets of the protocol; needed where frames are read.
      crop: one of `faces.crop.KINDS`; `whole` serves frames that were cropped by their vendor.
      size: side of the frames, pixels; 0 is the network's own.
      registered: move the apex onto the onset and match its light (`faces.registration`).
    """

    data_dir: str = ""
    crop: str = "face"
    size: int = 0
    registered: bool = True

    def __post_init__(self):
        choose("config.data", self, crop=KINDS)
        at_least("config.data", self, size=0)


@dataclasses.dataclass(frozen=True)
class Opened:
    """The sets of a protocol.

    Attributes:
      records: (source, index in it) of each sample.
      sheets: of each set, {"file", "sha256"}.
      skipped: of each set, [{"clip", "row", "reason"}] of the rows that its build left out.
      merged: whether a set, built by an earlier version, writes a subject in several ways; in
        `samples` each has one.
    """

    samples: list[Sample]
    records: list[tuple[Any, int]]
    sheets: dict[str, dict]
    skipped: dict[str, list[dict]]
    merged: bool = False

    def record(self, number: int) -> Mapping[str, Any]:
        source, index = self.records[number]
        return source[index]


def open_protocol(data_dir: str | Path, protocol: Protocol) -> Opened:
    """Opens every set of a protocol; UserError if one is not built there."""
    samples, records, sheets, skipped = [], [], {}, {}
    for name in protocol.homes:
        source, set_samples = open_clips(data_dir, name)
        samples += set_samples
        records += [(source, index) for index in range(len(set_samples))]
        about = describe_clips(data_dir, name)
        sheets[name] = {key: about["sheet"][key] for key in ("file", "sha256")}
        skipped[name] = about["skipped"]
    one_way = respelled(samples)
    return Opened(one_way, records, sheets, skipped, merged=one_way != samples)


def read_pairs(
    opened: Opened,
    numbers: Sequence[int],
    *,
    size: int,
    crop: str,
    registered: bool,
    progress=lambda numbers: numbers,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads onset and apex of some samples, uint8 [n, size, size, 3] each.

    Args:
      numbers: places in `opened.samples`, in this order.
      crop, registered: see `PairsConfig`.
      progress: wraps the numbers, as `tqdm` does.

    Raises:
      UserError: a frame cannot be read, or shows no face.
    """
    detect = detector(crop)
    onsets, apexes = [], []
    for number in progress(numbers):
        sample = opened.samples[number]
        try:
            onset, apex = one_pair(
                sample, opened.record(number), size=size, crop=crop, detect=detect
            )
        except Unreadable as error:
            raise UserError(f"{sample.dataset} {sample.clip}: {error}") from None
        onsets.append(onset)
        apexes.append(register(apex, onset)[0] if registered else apex)
    return np.stack(onsets), np.stack(apexes)


def one_pair(
    sample: Sample, record: Mapping[str, Any], *, size: int, crop: str, detect: Detector | None
) -> tuple[np.ndarray, np.ndarray]:
    """Crops onset and apex of a record of `open_clips`, uint8 [size, size, 3].

    Where a clip lacks a frame, the nearest one there is stands for it.

    Raises:
      Unreadable: a frame is no image, or there is no face.
    """
    frames = record["frames"]
    stored = list(zip(map(int, frames["number"]), frames["image"], strict=True))

    def at(number: int) -> np.ndarray:
        return decode_jpeg(min(stored, key=lambda frame: abs(frame[0] - number))[1])

    onset, apex = at(sample.onset), at(sample.apex)
    first = (decode_jpeg(image) for _, image in stored)
    if onset.shape != apex.shape:
        raise Unreadable(f"onset is {onset.shape[:2]}, apex {apex.shape[:2]} pixels")
    try:
        cut = place_crop(first if crop == "face" else [onset], crop, size, detect)
    except Unreadable as error:
        if str(error) != NO_FACE:
            raise
        raise Unreadable(
            "no face found in its first frames; if its frames are faces already, use "
            "config.data.crop=whole"
        ) from None
    return cut(onset), cut(apex)

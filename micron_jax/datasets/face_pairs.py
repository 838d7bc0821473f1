"""Onset and apex of each micro-expression, as two crops of a face."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.checks import at_least, choose
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.protocols import SYNTHETIC, Protocol
from micron_jax.datasets.subjects import respelled
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS, NO_FACE, Crop, detector, place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.faces.registration import register
from micron_jax.video.image_files import Unreadable, decode_jpeg

# A sample and the numbers of its stored frames -> the numbers of onset and apex.
Keyframes = Callable[[Sample, Sequence[int]], tuple[int, int]]


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
      synthetic: names of the sets that `data synth` made.
    """

    samples: list[Sample]
    records: list[tuple[Any, int]]
    sheets: dict[str, dict]
    skipped: dict[str, list[dict]]
    merged: bool = False
    synthetic: tuple[str, ...] = ()

    def record(self, number: int) -> Mapping[str, Any]:
        source, index = self.records[number]
        return source[index]


def open_protocol(data_dir: str | Path, protocol: Protocol, *, frames: bool = True) -> Opened:
    """Opens every set of a protocol; UserError if one is not built there, or lacks its frames."""
    samples, records, sheets, skipped, synthetic = [], [], {}, {}, []
    for name in protocol.homes:
        source, set_samples = open_clips(data_dir, name, frames=frames)
        samples += set_samples
        records += [(source, index) for index in range(len(set_samples))]
        about = describe_clips(data_dir, name)
        sheets[name] = {key: about["sheet"][key] for key in ("file", "sha256")}
        skipped[name] = about["skipped"]
        # Earlier versions built synthetic sets without a mark; their protocol tells it.
        if about.get("synthetic") or protocol.name == SYNTHETIC.name:
            synthetic += dict.fromkeys(sample.dataset for sample in set_samples)
    one_way = respelled(samples)
    return Opened(
        one_way, records, sheets, skipped, merged=one_way != samples, synthetic=tuple(synthetic)
    )


def read_pairs(
    opened: Opened,
    numbers: Sequence[int],
    *,
    size: int,
    crop: str,
    registered: bool,
    keyframes: Keyframes | None = None,
    crops: dict[int, Crop] | None = None,
    progress=lambda numbers: numbers,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads onset and apex of some samples, uint8 [n, size, size, 3] each.

    Args:
      numbers: places in `opened.samples`, in this order.
      crop, registered: see `PairsConfig`.
      keyframes: which frames are onset and apex; those of the sample by default.
      crops: of each number, filled here; a later call that gets them does not look for faces again.
      progress: wraps the numbers, as `tqdm` does.

    Raises:
      UserError: a frame cannot be read, or shows no face.
    """
    detect, crops = detector(crop), {} if crops is None else crops
    onsets, apexes = [], []
    for number in progress(numbers):
        sample, record = opened.samples[number], opened.record(number)
        try:
            if number not in crops:
                crops[number] = _crop_of(sample, record, crop, size, detect)
            onset, apex = _cut(sample, record, crops[number], keyframes)
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
    return _cut(sample, record, _crop_of(sample, record, crop, size, detect))


def _crop_of(
    sample: Sample, record: Mapping[str, Any], kind: str, size: int, detect: Detector | None
) -> Crop:
    """Places the crop of a clip: a face by its first frames, another by the onset."""
    stored = _stored(record)
    if kind == "face":
        frames = (decode_jpeg(image) for image in stored.values())
    else:
        frames = [decode_jpeg(stored[_nearest(stored, sample.onset)])]
    try:
        return place_crop(frames, kind, size, detect)
    except Unreadable as error:
        if str(error) != NO_FACE:
            raise
        raise Unreadable(
            "no face found in its first frames; if its frames are faces already, use "
            "config.data.crop=whole"
        ) from None


def _cut(
    sample: Sample, record: Mapping[str, Any], crop: Crop, keyframes: Keyframes | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the crop out of onset and apex."""
    stored, numbers = _stored(record), (sample.onset, sample.apex)
    if keyframes is not None:
        numbers = keyframes(sample, list(stored))
    onset, apex = (decode_jpeg(stored[_nearest(stored, number)]) for number in numbers)
    if onset.shape != apex.shape:
        raise Unreadable(f"onset is {onset.shape[:2]}, apex {apex.shape[:2]} pixels")
    return crop(onset), crop(apex)


def _stored(record: Mapping[str, Any]) -> dict[int, bytes]:
    frames = record["frames"]
    return dict(zip(map(int, frames["number"]), frames["image"], strict=True))


def _nearest(stored: Mapping[int, bytes], number: int) -> int:
    return min(stored, key=lambda frame: abs(frame - number))

"""Onset and apex of each micro-expression as two crops of a face, one in place of the other."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.protocols import Protocol
from micron_jax.errors import UserError
from micron_jax.faces import landmarks as faces
from micron_jax.faces.registration import register
from micron_jax.video.images import Unreadable, decode_jpeg


@dataclasses.dataclass(frozen=True)
class PairsConfig:
    """The benchmark's frames and how they become the network's.

    Attributes:
      data_dir: where `micron-jax data build` put the protocol's sets.
      crop: `face` finds the face in a clip's first frames and holds that crop; `whole` resizes
        the frame as it is, for frames that were cropped by their vendor.
      size: side of the frames, pixels; 0 is the network's own.
      registered: move the apex onto the onset and match its light (`faces.registration`).
    """

    data_dir: str
    crop: str = "face"
    size: int = 0
    registered: bool = True

    def __post_init__(self):
        if self.crop not in ("face", "whole"):
            raise UserError(f"data.crop={self.crop!r}: choose one of face, whole")
        if self.size < 0:
            raise UserError(f"data.size={self.size}: a side in pixels, or 0")


@dataclasses.dataclass(frozen=True)
class Opened:
    """The sets of a protocol: all `samples`, `records[i]` of each, the sheets they are from, and of
    these, set by set, the rows that could not be used when it was built."""

    samples: list[Sample]
    records: list[tuple[Any, int]]  # (source, index in it)
    sheets: dict[str, dict]
    skipped: dict[str, list[dict]]  # {"clip", "row", "reason"}

    def record(self, number: int) -> Mapping[str, Any]:
        source, index = self.records[number]
        return source[index]


def open_protocol(data_dir: str | Path, protocol: Protocol) -> Opened:
    """Opens every set of a protocol.

    Raises:
      UserError: one is not built there.
    """
    samples, records, sheets, skipped = [], [], {}, {}
    for name in protocol.sets:
        source, own = open_clips(data_dir, name)
        samples += own
        records += [(source, index) for index in range(len(own))]
        told = describe_clips(data_dir, name)
        sheets[name] = {key: told["sheet"][key] for key in ("file", "sha256")}
        skipped[name] = told["skipped"]
    return Opened(samples, records, sheets, skipped)


def read_pairs(
    opened: Opened,
    numbers: Sequence[int],
    *,
    size: int,
    crop: str,
    registered: bool,
    progress=lambda numbers: numbers,
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and apex of some samples, uint8 [n, size, size, 3] each.

    Args:
      opened: the sets.
      numbers: which of `opened.samples`, in this order.
      size: side, pixels.
      crop, registered: see `PairsConfig`.
      progress: wraps the numbers, as `tqdm` does.

    Raises:
      UserError: a frame cannot be read, or shows no face.
    """
    detect = faces.all_faces_detector() if crop == "face" else None
    onsets, apexes = [], []
    for number in progress(numbers):
        sample = opened.samples[number]
        try:
            onset, apex = one_pair(sample, opened.record(number), size=size, detect=detect)
        except Unreadable as error:
            raise UserError(f"{sample.dataset} {sample.clip}: {error}") from None
        onsets.append(onset)
        apexes.append(register(apex, onset)[0] if registered else apex)
    return np.stack(onsets), np.stack(apexes)


def one_pair(
    sample: Sample, record: Mapping[str, Any], *, size: int, detect: faces.Detector | None
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and apex of a record of `open_clips`, uint8 [size, size, 3]; without a detector whole.

    Where a clip lacks a frame, the nearest one there is stands for it.

    Raises:
      Unreadable: a frame is no image, or there is no face.
    """
    frames = record["frames"]
    stored = list(zip(map(int, frames["number"]), frames["image"], strict=True))

    def at(wanted: int) -> np.ndarray:
        return decode_jpeg(min(stored, key=lambda frame: abs(frame[0] - wanted))[1])

    onset, apex = at(sample.onset), at(sample.apex)
    if onset.shape != apex.shape:
        raise Unreadable(f"onset is {onset.shape[:2]}, apex {apex.shape[:2]} pixels")
    if detect is None:
        return _whole(onset, size), _whole(apex, size)
    landmarks = faces.find_landmarks(_decoded(image for _, image in stored), detect)
    if landmarks is None:
        raise Unreadable(
            "no face found in its first frames; if its frames are faces already, use "
            "--config.data.crop=whole"
        )
    transform = faces.canonical_transform(landmarks, size)
    return faces.warp(onset, transform, size), faces.warp(apex, transform, size)


def _decoded(images: Iterable[bytes]) -> Iterator[np.ndarray]:
    return (decode_jpeg(image) for image in images)


def _whole(frame: np.ndarray, size: int) -> np.ndarray:
    shrinks = min(frame.shape[:2]) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (size, size), interpolation=how)

"""The frames of the clips of one film or folder, by number or by time, as files of images."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from micron_jax.datasets.own.table import Fault, OwnRow
from micron_jax.video.clip_files import ClipFiles, clip_at
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.image_files import Unreadable, decode_jpeg
from micron_jax.video.image_folder import list_frames
from micron_jax.video.reader import rate_and_length
from micron_jax.video.timing import ASSUMED_FPS, read_timed

Span = tuple[int, int, int]  # onset, apex, offset


@dataclasses.dataclass(frozen=True)
class Interval:
    """A clip in frame numbers; `files` are (number, path of its image)."""

    row: OwnRow
    onset: int
    apex: int
    offset: int
    fps: float
    assumed: bool
    files: list[tuple[int, Path]]


def open_source(path: Path, fps: float | None, notes: FileNotes) -> ClipFiles:
    """Returns the film or folder of a row; a Fault names the column that is wrong."""
    clip = clip_at(path, path.name, notes)
    if clip is None:
        what = "holds no image" if path.is_dir() else "is neither a film nor a folder of images"
        raise Fault(
            f"path: {path} {what}; name a film or a folder of images"
            if path.exists()
            else f"path: {path} does not exist; paths begin at the table's own folder"
        )
    return dataclasses.replace(clip, fps=fps)


def intervals(
    clip: ClipFiles, rows: Sequence[OwnRow], seconds: str, keep: str, scratch: Path
) -> Iterator[tuple[OwnRow, Interval | Fault]]:
    """Yields each row with its frames, or with the reason why it has none.

    Args:
      seconds: what makes the rows' times seconds; empty: they are frame numbers.
      keep: `pair` (onset and apex) or `clip` (all frames from onset to offset).
      scratch: an empty folder for the images of a film, and for those that are stored as PNG.
    """
    try:
        if clip.path.is_dir() and not seconds:
            list_frames(dataclasses.replace(clip, first=0))  # the names must tell numbers
        spans = _by_time(clip, rows, seconds) if seconds else [_by_number(row) for row in rows]
        useful = [span for span in spans if not isinstance(span, Fault)]
        files, rate, assumed = {}, 0.0, False
        if useful:
            files, rate, assumed = _write(clip, useful, seconds, scratch)
    except Unreadable as error:
        mend = "repair it, or remove the row"
        if clip.path.is_dir():
            mend = "give each file its frame number as name, or seconds and a value in column fps"
        for row in rows:
            yield row, Fault(f"path: {clip.path}: {error}; {mend}")
        return
    for row, span in zip(rows, spans, strict=True):
        if isinstance(span, Fault):
            yield row, span
            continue
        try:
            onset, apex, offset = span
            inside = [n for n in sorted(files) if onset <= n <= offset]
            if row.apex is None and not seconds and inside:
                apex = min(inside, key=lambda n: (abs(n - apex), n))
            for name, number in (("onset", onset), ("apex", apex), ("offset", offset)):
                if number not in files:
                    raise Fault(f"{name}: {_no_frame(clip, number)}")
            numbers = [onset, apex] if keep == "pair" else inside
            for number in numbers:
                if isinstance(files[number], Unreadable):
                    raise Fault(f"path: {clip.path}: {files[number]}")
            pictures = [(number, files[number]) for number in numbers]
            yield row, Interval(row, onset, apex, offset, rate, assumed, pictures)
        except Fault as fault:
            yield row, fault


def _by_number(row: OwnRow) -> Span:
    onset, offset = int(row.onset), int(row.offset)
    return onset, (onset + offset) // 2 if row.apex is None else int(row.apex), offset


def _by_time(clip: ClipFiles, rows: Sequence[OwnRow], seconds: str) -> list[Span | Fault]:
    """Returns (onset, apex, offset) of each row: the frames nearest in time."""
    timed = read_timed(clip, ASSUMED_FPS)
    if timed.assumed:
        reason = f"fps: {clip.path} tells no times; fill in fps, or give frame numbers"
        return [Fault(reason) for _ in rows]
    times = [(number, time) for _, number, time, _ in timed.frames]
    numbers, moments = np.array([n for n, _ in times]), np.array([t for _, t in times])
    slack = 1 / timed.fps  # the last frame is shown so long

    def nearest(value: float) -> tuple[int, float]:
        place = int(np.abs(moments - value).argmin())
        return int(numbers[place]), abs(moments[place] - value)

    def at(name: str, value: float) -> int:
        number, distance = nearest(value)
        if distance > slack + 1e-6:
            raise Fault(
                f"{name}: {value:g} s, but the frames of {clip.path} lie at {moments.min():.3f} "
                f"to {moments.max():.3f} s"
                + ("" if value > moments.max() else ", none of them near it")
                + f"; the table's times are read as seconds ({seconds})"
            )
        return number

    spans = []
    for row in rows:
        try:
            onset, offset = at("onset", row.onset), at("offset", row.offset)
            if row.apex is None:
                apex, _ = nearest((row.onset + row.offset) / 2)
            else:
                apex = at("apex", row.apex)
            spans.append((onset, apex, offset))
        except Fault as fault:
            spans.append(fault)
    return spans


def _write(
    clip: ClipFiles, spans: Sequence[Span], seconds: str, scratch: Path
) -> tuple[dict[int, Path | Unreadable], float, bool]:
    """Returns (number -> image file, frames per second, whether that rate is assumed).

    A folder's own file serves if it alone is decoded to the same pixels; other frames are written
    as PNG, which loses nothing.
    """
    names = {}
    if clip.path.is_dir():
        names = {frame.number: frame.name for frame in list_frames(clip)}
    if not names or not seconds:
        first, last = min(onset for onset, _, _ in spans), max(offset for *_, offset in spans)
        # A film that is asked for frames beyond its end would be told to break off.
        beyond = not names and last >= rate_and_length(clip)[1]
        clip = dataclasses.replace(clip, first=first, last=None if beyond else last)
    files: dict[int, Path | Unreadable] = {}
    with warnings.catch_warnings():
        if seconds:  # the times were read, and the notices told
            warnings.simplefilter("ignore")
        timed = read_timed(clip, ASSUMED_FPS)
        for _, number, _, frame in timed.frames:
            if not any(onset <= number <= offset for onset, _, offset in spans):
                continue
            if isinstance(frame, Unreadable):
                files[number] = frame
            elif number in names and _same(clip.path / names[number], frame):
                files[number] = clip.path / names[number]
            else:
                files[number] = scratch / f"{number}.png"
                files[number].write_bytes(cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
    return files, timed.fps, timed.assumed


def _same(path: Path, frame: np.ndarray) -> bool:
    try:
        return np.array_equal(decode_jpeg(path.read_bytes()), frame)
    except (Unreadable, OSError):
        return False


def _no_frame(clip: ClipFiles, number: int) -> str:
    if clip.path.is_dir():
        numbers = [frame.number for frame in list_frames(clip)]
        run = f"the numbers of its files are {min(numbers)} to {max(numbers)}"
    else:
        run = f"its frames count from 0 to about {rate_and_length(clip)[1] - 1}"
    return f"{number}, but {clip.path} has no such frame: {run}"

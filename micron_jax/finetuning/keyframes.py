"""Errors of keyframes: onset and apex moved, as people and programs err that look for them.

A classifier of onset and apex is given these frames by a person or by a program, and neither hits
them exactly: people differ by a few frames, programs by more. Every fold's classifier, trained on
the frames of the sheet, is tested on its test clips once more for each error: the onset moved, the
apex moved, and both moved together, to and fro.

A clip ends: its built set holds the frames from onset to offset. A moved frame stays among them,
the onset not after the apex, so that an onset moves forward only. Clips whose frame is cut short
there are counted; an error that is cut short in every clip has no figures.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips import built_keep
from micron_jax.errors import UserError

KEYFRAMES = ("onset", "apex", "both")
_SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(s|ms)?", re.IGNORECASE)
_MEND = "give frames (1,2,4), or seconds (0.02s,0.05s)"


@dataclasses.dataclass(frozen=True)
class Move:
    """One error: `keyframe` (one of `KEYFRAMES`) moved by frames or seconds, later if above 0."""

    keyframe: str
    error: float
    seconds: bool

    @property
    def name(self) -> str:
        return f"{self.keyframe}{self.error:+g}{'s' if self.seconds else ''}"

    def aim(self, sample: Sample) -> tuple[int, int]:
        """Returns the frame numbers of onset and apex, whether the clip has them or not."""
        step = round(self.error * sample.fps) if self.seconds else int(self.error)
        return (
            sample.onset + step * (self.keyframe != "apex"),
            sample.apex + step * (self.keyframe != "onset"),
        )

    def reach(self, sample: Sample, stored: Sequence[int]) -> tuple[int, int]:
        """Returns the frame numbers within the clip.

        Args:
          stored: numbers of the frames that the built set has of the clip.
        """
        onset, apex = self.aim(sample)
        first, last = min(stored), max(stored)
        if self.keyframe == "onset":
            last = sample.apex
        elif self.keyframe == "apex":
            first = sample.onset
        return tuple(int(np.clip(number, first, last)) for number in (onset, apex))


@dataclasses.dataclass(frozen=True)
class Moved:
    """Samples under one error.

    Attributes:
      samples: as `SharedArrays.samples`, of all clips; empty if no clip changes, or each is cut.
      cut: number of clips without the frame that the error asks for.
      same: number of clips whose frames stay as they are.
    """

    move: Move
    samples: dict[str, np.ndarray]
    cut: int
    same: int


def canonical(value: Any) -> str:
    """Returns the one text of the sizes of errors: `1,2,4` or `0.02s,0.05s`; empty for none.

    Args:
      value: of `config.keyframe_errors`: such a text, a number, or several numbers.

    Raises:
      UserError: it names no sizes above 0, or frames beside seconds.
    """
    items = list(value) if isinstance(value, tuple | list) else str(value).split(",")
    texts = [str(item).strip() for item in items if str(item).strip()]
    sizes: dict[float, bool] = {}
    for text in texts:
        match = _SIZE.fullmatch(text.removeprefix("±").removeprefix("+-").strip())
        if not match:
            raise UserError(f"config.keyframe_errors={value!r}: {text!r} is no size; {_MEND}")
        number, unit = float(match[1]), (match[2] or "").casefold()
        if not number:
            raise UserError(f"config.keyframe_errors={value!r}: 0 moves nothing; {_MEND}")
        if not unit and not number.is_integer():
            raise UserError(
                f"config.keyframe_errors={value!r}: {text} frames are no whole number; seconds "
                f"have an s ({text}s)"
            )
        sizes[number / 1000 if unit == "ms" else number] = bool(unit)
    if len(set(sizes.values())) > 1:
        raise UserError(f"config.keyframe_errors={value!r}: frames beside seconds; {_MEND}")
    return ",".join(f"{size:g}{'s' if sizes[size] else ''}" for size in sorted(sizes))


def moves(text: str) -> list[Move]:
    """Returns all errors of a `canonical` text, by keyframe, each from the earliest frame on."""
    sizes = [float(item.removesuffix("s")) for item in text.split(",") if item]
    signed = sorted({sign * size for size in sizes for sign in (-1, 1)})
    return [Move(frame, error, text.endswith("s")) for frame in KEYFRAMES for error in signed]


def check_frames(data_dir: str, names: Sequence[str]) -> None:
    """Checks that the sets hold whole clips; UserError for one that has onset and apex alone."""
    for name in names:
        if built_keep(data_dir, name) == "pair":
            raise UserError(
                f"config.keyframe_errors: {name} in {data_dir} holds onset and apex alone; build "
                "it with all frames, too (`data build`, keep=clip)"
            )


def read_moved(
    text: str,
    read: Callable[..., dict[str, np.ndarray]],
    make: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Computes the samples under each error of a `canonical` text.

    Args:
      read: reads the pairs, {"onset", "apex"} of uint8 [n, S, S, 3]; see `face_pairs.read_pairs`.
      make: samples of these pairs, {"onset", "apex"} -> as `SharedArrays.samples`.

    Returns:
      "NAME/counts": [cut, same] of each error, and "NAME/SAMPLES" of those that change a clip and
      are not cut short in each; `unpack` reads them.
    """
    arrays = {}
    for move in moves(text):
        changes: list[tuple[bool, bool]] = []

        def keyframes(sample: Sample, stored: Sequence[int], move=move, changes=changes):
            place = move.reach(sample, stored)
            changes.append((place != move.aim(sample), place == (sample.onset, sample.apex)))
            return place

        pairs = read(keyframes=keyframes)
        cut, same = np.sum(changes, axis=0)
        arrays[f"{move.name}/counts"] = np.array([cut, same])
        if max(cut, same) < len(changes):
            samples = make(pairs)
            arrays |= {f"{move.name}/{name}": array for name, array in samples.items()}
    return arrays


def unpack(text: str, arrays: dict[str, np.ndarray]) -> list[Moved]:
    """Returns the samples of `read_moved` under each error."""
    result = []
    for move in moves(text):
        cut, same = arrays[f"{move.name}/counts"].tolist()
        begin = f"{move.name}/"
        samples = {
            name.removeprefix(begin): a for name, a in arrays.items() if name.startswith(begin)
        }
        samples.pop("counts")
        result.append(Moved(move, samples, cut, same))
    return result

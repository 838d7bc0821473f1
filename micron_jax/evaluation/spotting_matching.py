"""The rule by which a detection finds an expression.

Two intervals fit if their intersection is half of their union or more, in frames, both ends
included. An expression is found once, and a detection finds one expression. Where several fit, the
detection of the higher confidence takes first; of equal confidences the pair of the larger overlap;
then the earlier expression, and the earlier detection. The order of rows does not matter, and a
detection that a threshold leaves out changes nothing for those above it.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from micron_jax.datasets.long_videos.times import KINDS
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.evaluation.spotting_tables import Joined

IOU = 0.5
_SLACK = 1e-9  # of a quotient that is one half


@dataclasses.dataclass(frozen=True)
class Matches:
    """N detections and the expressions that they find.

    Attributes:
      people: place of each detection's subject in `Truth.people`, int64 [N].
      kinds: place of each detection's kind in `KINDS`, int64 [N].
      confidences: float64 [N].
      hits: place in `Truth.expressions` of the expression of the same kind, or -1, int64 [N].
      hits_any: the same whatever the kinds, int64 [N].
    """

    joined: Sequence[Joined]
    people: np.ndarray
    kinds: np.ndarray
    confidences: np.ndarray
    hits: np.ndarray
    hits_any: np.ndarray


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the intersection over the union of intervals, both ends included.

    Args:
      first, second: float64 [N, 2] and [M, 2] of onset and offset, in frames.

    Returns:
      float64 [N, M].
    """
    begin, end = (
        np.maximum(first[:, None, 0], second[:, 0]),
        np.minimum(first[:, None, 1], second[:, 1]),
    )
    shared = np.clip(end - begin + 1, 0, None)
    lengths = (first[:, 1] - first[:, 0] + 1)[:, None] + (second[:, 1] - second[:, 0] + 1)
    return shared / (lengths - shared)


def match(detected: np.ndarray, confidences: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Matches the detections of one video by the rule above.

    Args:
      detected: float64 [N, 2] of onset and offset.
      confidences: float64 [N].
      true: float64 [M, 2].

    Returns:
      int64 [N], the place in `true` of what each detection finds, or -1.
    """
    hits = np.full(len(detected), -1)
    if not len(detected) or not len(true):
        return hits
    quotients = overlaps(detected, true)
    rows, columns = np.nonzero(quotients >= IOU - _SLACK)
    keys = (
        *(detected[rows].T[::-1]),  # the last key counts first
        *(true[columns].T[::-1]),
        -quotients[rows, columns].round(12),
        -confidences[rows],
    )
    taken: set[int] = set()
    for place in np.lexsort(keys):
        row, column = int(rows[place]), int(columns[place])
        if hits[row] < 0 and column not in taken:
            hits[row] = column
            taken.add(column)
    return hits


def match_all(truth: Truth, joined: Sequence[Joined]) -> Matches:
    """Matches the detections of all videos."""
    places = {person: n for n, person in enumerate(truth.people)}
    people = [places[truth.videos[one.video].person] for one in joined]
    kinds = np.array([KINDS.index(one.detection.kind) for one in joined], np.int64)
    confidences = np.array([one.detection.confidence for one in joined], np.float64)
    spans = np.array([(j.detection.onset, j.detection.offset) for j in joined]).reshape(-1, 2)
    true = np.array([(e.onset, e.offset) for e in truth.expressions]).reshape(-1, 2)
    true_kinds = np.array([KINDS.index(e.kind) for e in truth.expressions], np.int64)
    of_video: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for n, one in enumerate(joined):
        of_video[one.video][0].append(n)
    for n, expression in enumerate(truth.expressions):
        of_video[expression.video][1].append(n)
    hits, hits_any = np.full((2, len(joined)), -1)
    for rows, columns in of_video.values():
        rows, columns = np.array(rows, np.int64), np.array(columns, np.int64)
        for kind in (None, *range(len(KINDS))):
            r = rows if kind is None else rows[kinds[rows] == kind]
            c = columns if kind is None else columns[true_kinds[columns] == kind]
            places_of = match(spans[r], confidences[r], true[c])
            result = hits_any if kind is None else hits
            result[r[places_of >= 0]] = c[places_of[places_of >= 0]]
    return Matches(joined, np.array(people, np.int64), kinds, confidences, hits, hits_any)

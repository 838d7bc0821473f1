"""Whether two runs on the same clips differ by more than chance.

McNemar's exact test counts the clips that one run alone gets right, as if clips were independent;
they are not, those of a subject go together. The paired bootstrap draws subjects, the same for both
runs, and asks how the difference of UF1 or UAR varies: it is the one to report.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from micron_jax.errors import UserError
from micron_jax.evaluation.intervals import METRICS, RESAMPLES, draw, percentiles, resampled
from micron_jax.evaluation.prediction import Prediction, name_of
from micron_jax.evaluation.predictions import difference
from micron_jax.evaluation.tally import classes_of, tally


def compare(
    ours: Sequence[Prediction],
    theirs: Sequence[Prediction],
    classes: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Ours minus theirs.

    Returns:
      {"uf1", "uar", "accuracy": {"difference", "interval", "p"}, "mcnemar": {"only_ours",
      "only_theirs", "p"}}. Metrics are means over each run's seeds. `mcnemar` is None unless each
      run has one seed.

    Raises:
      UserError: they are not of the same clips with the same labels, or of one subject only.
    """
    theirs = paired(ours, theirs)
    known = classes_of(ours, classes) or classes_of(theirs)
    for one in (*ours, *theirs):
        if known and one.prediction not in known:
            raise UserError(f"{name_of(one.key)}: {one.prediction!r} is none of {', '.join(known)}")
    both = [tally(run, known) for run in (ours, theirs)]
    if len(both[0].people) < 2:
        raise UserError("one subject alone: a comparison needs at least two")
    times = draw(both[0].strata, resamples, seed)
    whole = np.ones((1, times.shape[1]), np.int64)
    values = [resampled(run, times) for run in both]
    points = [resampled(run, whole) for run in both]
    result: dict[str, Any] = {}
    for name in METRICS:
        differences = values[0][name] - values[1][name]
        result[name] = {
            "difference": float((points[0][name] - points[1][name])[0]),
            "interval": percentiles(differences),
            "p": two_sided(differences),
        }
    single = all(len(run.seeds) == 1 for run in both)
    return result | {"mcnemar": _mcnemar(ours, theirs) if single else None}


def two_sided(differences: np.ndarray) -> float:
    """Twice the smaller share of resamples on either side of 0, the sample itself counted in."""
    below, above = (differences <= 0).sum(), (differences >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1)))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of so uneven a split of the discordant pairs, were both sides as likely."""
    trials = only_first + only_second
    tail = sum(math.comb(trials, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**trials)


def paired(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> list[Prediction]:
    """Theirs, each clip under our name for it.

    Clips are found by set, subject and name; where that fails, by the name's last part and numbers
    without leading zeros, as far as these tell clips apart: other people write `s1_ne_1`.

    Raises:
      UserError: a clip of one is not in the other, or is labeled otherwise there.
    """
    our_keys, their_keys = ({one.key: one.label for one in run} for run in (ours, theirs))
    names = {key: key for key in their_keys}
    if set(our_keys) != set(their_keys):
        loose = [_by_loose_name(keys) for keys in (our_keys, their_keys)]
        names |= {key: loose[0][name] for name, key in loose[1].items() if name in loose[0]}
        if len(set(names.values())) < len(names):
            names = {key: key for key in their_keys}
    renamed = {names[key]: label for key, label in their_keys.items()}
    if what := difference(our_keys, renamed):
        raise UserError(f"runs can be compared on the same clips only: {what}")
    found = []
    for one in theirs:
        dataset, subject, clip = names[one.key]
        found.append(dataclasses.replace(one, set=dataset, subject=subject, clip=clip))
    return found


def _by_loose_name(keys: Sequence[tuple[str, str, str]]) -> dict[tuple, tuple[str, str, str]]:
    """Loose name -> the clip, where only one has it."""
    found = collections.defaultdict(list)
    for key in keys:
        dataset, subject, clip = key
        parts = (subject, clip.rsplit("/", 1)[-1])
        loose = [re.sub(r"(?<!\d)0+(?=\d)", "", part.casefold()) for part in parts]
        loose[0] = re.sub(r"^\D+(?=\d)", "", loose[0])  # sub01 -> 1
        found[dataset, *loose].append(key)
    return {name: several[0] for name, several in found.items() if len(several) == 1}


def _mcnemar(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> dict[str, Any]:
    right = {one.key: one.prediction == one.label for one in theirs}
    pairs = [(one.prediction == one.label, right[one.key]) for one in ours]
    first, second = pairs.count((True, False)), pairs.count((False, True))
    return {"only_ours": first, "only_theirs": second, "p": mcnemar_exact(first, second)}

"""Choices of the motion benchmark, made on people other than the judged ones.

They are the settings of the rivals, the noise floors and the prior of places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.benchmarks import (
    learn_error,
    learn_flow,
    learn_methods,
    learn_rivals,
    learn_scores,
    learn_truth,
)
from micron_jax.benchmarks.learn_rivals import DEFAULTS, Setting
from micron_jax.benchmarks.learn_truth import Truth
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert

CLIPS = 96  # at most, on which a choice is made


@dataclass(frozen=True)
class Choice:
    """Choices, the defaults if there is nobody to choose on.

    Attributes:
      ranking, error: the best setting of each kind of flow, and of all, `flow`.
      difference: the best of `learn_flow.difference_maps`.
      floors: px, of `ours` and of each kind of flow; see `learn_error.floor_of`.
      prior: float32 [28, 28], how often each place moved; None: nobody to count.
      report: "chosen_on", "merits" and "errors" of the settings, for the benchmark's report.
    """

    ranking: Mapping[str, Setting] = field(default_factory=lambda: DEFAULTS)
    error: Mapping[str, Setting] = field(default_factory=lambda: DEFAULTS)
    difference: str = "graded"
    floors: Mapping[str, float | None] = field(default_factory=dict)
    prior: np.ndarray | None = None
    report: Mapping[str, Any] = field(
        default_factory=lambda: {"chosen_on": "", "merits": {}, "errors": {}}
    )

    @property
    def finders(self) -> list[str]:
        """The names in `learn_flow.FINDERS` that the chosen settings need."""
        settings = (*self.ranking.values(), *self.error.values())
        names = {name for s in settings for name in learn_flow.finders_of(s.flow)}
        return [name for name in learn_flow.FINDERS if name in names]


def choose(models: Sequence[MicronBert], folders: Sequence[Path], split: str) -> Choice:
    """Returns the choices that the `val` people of sets, or else the `train` people, lead to.

    Args:
      models: for their noise floor, a mean over them.
      split: of the judged people, who never serve for it.

    Raises:
      UserError: a set cannot be read.
    """
    others, chosen_on = _other_people(folders, split)
    if others is None:
        return Choice()
    part = _part(others)
    methods = {
        "": learn_methods.flows(*learn_flow.FINDERS),
        "difference ": learn_methods.differences,
        **{f"model{n}": learn_methods.default_map(model) for n, model in enumerate(models)},
    }
    readouts = learn_methods.compute(methods, part, label="clips to choose on")
    flows = {name: readouts[name].vector for name in learn_flow.FINDERS}
    errors = learn_rivals.choose_by_error(flows, part)
    merits = learn_rivals.choose_by_ranking(flows, part)
    differences = {
        name: learn_scores.merit(readout.score, part)
        for name, readout in readouts.items()
        if name.startswith("difference ") and not name.endswith("_raw")
    }
    error = learn_rivals.best_of_each_kind(errors)
    vectors = {name: [setting.vectors(flows, part.rigid)] for name, setting in error.items()}
    own = [readouts[f"model{n}"].vector for n in range(len(models))]
    if own[0] is not None:
        vectors["ours"] = own
    by_merit = {str(setting): merit for setting, merit in merits.items()} | differences
    return Choice(
        ranking=learn_rivals.best_of_each_kind(merits),
        error=error,
        difference=max(differences, key=differences.get).removeprefix("difference "),
        floors={name: _floor(runs, part) for name, runs in vectors.items()},
        prior=others.moved.mean(axis=0, dtype=np.float32),
        report={
            "chosen_on": chosen_on,
            "merits": dict(sorted(by_merit.items(), key=lambda item: -item[1])),
            "errors": {str(setting): value for setting, value in errors.items()},
        },
    )


def _floor(runs: Sequence[np.ndarray], truth: Truth) -> float | None:
    floors = [learn_error.floor_of(vector, truth) for vector in runs]
    return None if None in floors else float(np.mean(floors))


def _other_people(folders: Sequence[Path], split: str) -> tuple[Truth | None, str]:
    for name in ("val", "train"):
        if name == split:
            continue
        try:
            truth = learn_truth.load(folders, name)
        except UserError:
            if not all((Path(folder) / learn_truth.INDEX).is_file() for folder in folders):
                raise
            continue
        if (truth.amplitude > 0).any():
            return truth, f"{name} people of {' '.join(map(str, folders))}"
    return None, ""


def _part(truth: Truth) -> Truth:
    """Returns `CLIPS` clips, evenly apart, and the controls of these."""
    count = min(CLIPS, len(truth))
    chosen = np.linspace(0, len(truth) - 1, count).astype(int)
    controls = truth.control[chosen]
    return truth.clips(np.union1d(chosen, controls[controls >= 0]))

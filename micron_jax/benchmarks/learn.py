"""The motion benchmark: maps of a checkpoint, controls and optical flow against known truth.

Names of the read-outs:

- `KIND`, `KIND_raw`: a map of the checkpoint, of registered frames and of frames as they are;
  `ours` is its default map of registered frames, with its displacement.
- `same_frame`: the default map of the onset against itself; `release_same_frame` the release's.
- `random`: the default map of the same network before any training, a mean over seeds.
- `location`: how often each place moved in clips of other people; it reads no frame.
- `zero`: nothing moves; a displacement that is worth anything has a smaller error.
- `shuffled`: `ours` with the truth of other clips, at random; `stratified` is then 0.5.
- `difference`, `difference_raw`; `farneback_median`, `farneback_affine`, the same of `dis`, `tvl1`,
  `both` (Farnebäck and DIS) and `all` (three): see `learn_flow`; `flow`, the best of these ten.
  Each has the settings of its kind that are best on people other than the judged ones, one for its
  ranking and one for its error: see `learn_rivals`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from micron_jax import pretrained
from micron_jax.benchmarks import (
    learn_error,
    learn_methods,
    learn_people,
    learn_scores,
    learn_truth,
)
from micron_jax.benchmarks.learn_choice import Choice, choose
from micron_jax.benchmarks.learn_methods import Readout
from micron_jax.benchmarks.learn_people import Figures
from micron_jax.benchmarks.learn_truth import Truth
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert

SHUFFLES = 20

Readouts = dict[str, list[Readout]]  # name -> one of each seed


def measure(
    checkpoints: Sequence[Path],
    folders: Sequence[Path],
    *,
    choose_on: Sequence[Path] = (),
    split: str = "test",
    seeds: int = 3,
) -> tuple[dict, Truth, Readouts]:
    """Runs the whole benchmark.

    Args:
      checkpoints: of one architecture, such as the seeds of a training; their figures are averaged.
      folders: sets that `micron-jax data synth` made.
      choose_on: sets whose `val` people, or else `train` people, serve for all choices, see
        `learn_choice`; empty: those of `folders`.
      split: the people whose clips are judged.
      seeds: number of the random weights that are compared with.

    Returns:
      The report {"readouts": {name: see `learn_scores.evaluate` and, of a displacement,
      `learn_error.summary`; with a scale of its error, "calibration", of the first seed}},
      "over_flow": `ours` less `flow`, "chosen", "chosen_by_error", ...}, the truth, the read-outs.

    Raises:
      UserError: a set or a checkpoint cannot be used.
    """
    truth = learn_truth.load(folders, split)
    models = _load(checkpoints)
    choice = choose(models, choose_on or folders, split)
    readouts = _readouts(models, seeds, choice, truth)

    figures: dict[str, Figures] = {}
    scores: dict[str, dict] = {}
    for name, runs in readouts.items():
        figures[name], scores[name] = judge(runs, truth, choice.floors.get(name))
    scores["shuffled"] = learn_scores.summary(_shuffled(readouts["ours"], truth), truth)
    over_flow = learn_scores.difference(figures["ours"], figures["flow"])
    if readouts["ours"][0].vector is not None:
        over_flow |= learn_error.difference(figures["ours"], figures["flow"])
    chosen = {name: str(setting) for name, setting in choice.ranking.items()}
    report = {
        "readouts": scores,
        "over_flow": over_flow,
        "interval": "low, high: 95 % of a figure, bootstrap over people",
        "ours": models[0].map_kinds[0],
        "chosen": chosen | {"difference": f"difference {choice.difference}"},
        "chosen_by_error": {name: str(setting) for name, setting in choice.error.items()},
        **choice.report,
        "checkpoints": [str(checkpoint) for checkpoint in checkpoints],
        "data": [str(folder) for folder in folders],
        "split": split,
        "people": len(np.unique(truth.person)),
        "clips": len(truth),
        "motionless": int((truth.amplitude == 0).sum()),
        "kinds": _counts(truth.kind),
        "codecs": _counts(truth.codec),
    }
    return report, truth, readouts


def judge(
    runs: Sequence[Readout], truth: Truth, floor: float | None = None
) -> tuple[Figures, dict]:
    """Returns the figures of a read-out in each resample of people, and its scores.

    Args:
      runs: its seeds, whose figures are averaged.
      floor: px, of the lengths of its vectors; None: no area is judged.
    """
    figures = learn_scores.figures(np.stack([run.score for run in runs]), truth)
    scores = learn_scores.summary(figures, truth)
    if runs[0].vector is None:
        return figures, scores
    times = learn_people.draw(truth.person)
    errors = [learn_error.figures(run.vector, truth, times, floor) for run in runs]
    figures |= {name: np.mean([one[name] for one in errors], axis=0) for name in errors[0]}
    scores |= learn_error.summary(figures, truth, floor)
    if runs[0].scale is not None:
        scores["calibration"] = learn_error.calibration(runs[0].vector, runs[0].scale, truth)
    return figures, scores


def _load(checkpoints: Sequence[Path]) -> list[MicronBert]:
    models = [pretrained.load(checkpoint) for checkpoint in checkpoints]
    for checkpoint, model in zip(checkpoints, models, strict=True):
        if model.config != models[0].config or model.map_kinds != models[0].map_kinds:
            raise UserError(
                f"{checkpoint}: another network than {checkpoints[0]}; give "
                "checkpoints of one setting, or run them apart"
            )
    return models


def _readouts(models: Sequence[MicronBert], seeds: int, choice: Choice, truth: Truth) -> Readouts:
    """Computes the read-outs of the models, controls and chosen settings."""
    kind = models[0].map_kinds[0]
    methods = {f"model{n} ": learn_methods.read_out(model) for n, model in enumerate(models)}
    for n in range(seeds):
        random = learn_methods.random_model(models[0], n)
        methods[f"random{n}"] = learn_methods.one_map(random, kind)
    methods["flow "] = learn_methods.flows(*choice.finders)
    methods["difference "] = learn_methods.differences
    results = learn_methods.compute(methods, truth, label="clips")

    own = [name.removeprefix("model0 ") for name in results if name.startswith("model0 ")]
    models_of = {name: [results[f"model{n} {name}"] for n in range(len(models))] for name in own}
    readouts = {"ours": models_of[kind]} | models_of
    readouts["random"] = [results[f"random{n}"] for n in range(seeds)]
    flows = {name: results[f"flow {name}"].vector for name in choice.finders}
    for name in sorted(choice.error):
        score = choice.ranking[name].maps(flows, truth.rigid)
        readouts[name] = [Readout(score, choice.error[name].vectors(flows, truth.rigid))]
    for suffix in ("", "_raw"):
        readouts[f"difference{suffix}"] = [results[f"difference {choice.difference}{suffix}"]]
    if choice.prior is not None:
        readouts["location"] = [Readout(np.broadcast_to(choice.prior, truth.moved.shape))]
    still = np.zeros(truth.displacement.shape, np.float32)
    return readouts | {"zero": [Readout(still[..., 0], still)]}


def _shuffled(runs: Sequence[Readout], truth: Truth) -> Figures:
    """Returns the mean figures of `SHUFFLES` shuffles, and each, in the place of the resamples."""
    rng, maps = np.random.default_rng(0), np.stack([run.score for run in runs])
    every = [learn_scores.figures(maps, truth.shuffled(rng), resamples=0) for _ in range(SHUFFLES)]
    columns = {name: np.array([one[name][0] for one in every]) for name in every[0]}
    return {name: np.concatenate([[np.mean(x)], x]) for name, x in columns.items()}


def _counts(values: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(values, return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

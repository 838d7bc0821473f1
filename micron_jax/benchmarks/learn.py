"""The motion benchmark: maps of a checkpoint, controls and optical flow against known truth.

Names of the read-outs:

- `KIND`, `KIND_raw`: a map of the checkpoint, of registered frames and of frames as they are;
  `ours` is its default map of registered frames.
- `same_frame`: the default map of the onset against itself; `release_same_frame` the release's.
- `random`: the default map of the same network before any training, a mean over seeds.
- `location`: how often each place moved in clips of other people; it reads no frame.
- `shuffled`: `ours` with the truth of other clips, at random; `stratified` is then 0.5.
- `difference`, `difference_raw`; `farneback_median`, `farneback_affine`, the same of `dis` and of
  `both`; `flow`, the best of these six: see `learn_flow`. Each has the setting of its kind that is
  best on people other than the judged ones.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from micron_jax import pretrained
from micron_jax.benchmarks import learn_flow, learn_methods, learn_scores, learn_truth
from micron_jax.benchmarks.learn_scores import Figures
from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert

SHUFFLES = 20
CHOICE_CLIPS = 64  # at most, on which the settings of flow and difference are chosen
# The settings if there are no other people to choose on.
DEFAULTS = {
    "farneback_median": "farneback 25 median relative",
    "farneback_affine": "farneback 25 affine relative",
    "dis_median": "dis fast 24 median relative",
    "dis_affine": "dis fast 24 affine relative",
    "both_median": "both 24 median relative",
    "both_affine": "both 24 affine relative",
    "difference": "difference graded",
    "flow": "both 24 affine relative",
}


def measure(
    checkpoints: Sequence[Path],
    folders: Sequence[Path],
    *,
    choose: Sequence[Path] = (),
    split: str = "test",
    seeds: int = 3,
) -> tuple[dict, Truth, dict[str, np.ndarray]]:
    """Runs the whole benchmark.

    Args:
      checkpoints: of one architecture, such as the seeds of a training; their figures are averaged.
      folders: sets that `micron-jax data synth` made.
      choose: sets whose `val` people, or else `train` people, serve to choose the settings of flow
        and difference and to count the prior of places; empty: those of `folders`.
      split: the people whose clips are judged.

    Returns:
      The report {"readouts": {name: see `learn_scores.evaluate`}, "over_flow": `ours` less `flow`,
      "chosen", ...}, the truth, and the maps [S, C, 28, 28] by name.

    Raises:
      UserError: a set or a checkpoint cannot be used.
    """
    truth = learn_truth.load(folders, split)
    models = [pretrained.load(checkpoint) for checkpoint in checkpoints]
    kinds = models[0].map_kinds
    for checkpoint, model in zip(checkpoints, models, strict=True):
        if model.config != models[0].config or model.map_kinds != kinds:
            raise UserError(
                f"{checkpoint}: another network than {checkpoints[0]}; give "
                "checkpoints of one setting, or run them apart"
            )
    others, chosen_on = _other_people(choose or folders, split)
    merits = _merits(others) if others else {}
    chosen = _best_of_each_kind(merits) if merits else DEFAULTS
    maps = _maps(models, seeds, chosen, truth)
    if others:
        prior = others.moved.mean(axis=0, dtype=np.float32)
        maps["location"] = np.broadcast_to(prior, (1, *truth.moved.shape))

    figures = {name: learn_scores.figures(values, truth) for name, values in maps.items()}
    readouts = {name: learn_scores.summary(values, truth) for name, values in figures.items()}
    shuffled = learn_scores.summary(_shuffled(maps["ours"], truth), truth)
    report = {
        "readouts": readouts | {"shuffled": shuffled},
        "over_flow": learn_scores.difference(figures["ours"], figures["flow"]),
        "interval": "low, high: 95 % of `stratified`, bootstrap over people",
        "ours": kinds[0],
        "chosen": chosen,
        "chosen_on": chosen_on,
        "merits": merits,
        "checkpoints": [str(checkpoint) for checkpoint in checkpoints],
        "data": [str(folder) for folder in folders],
        "split": split,
        "people": len(np.unique(truth.person)),
        "clips": len(truth),
        "motionless": int((truth.amplitude == 0).sum()),
    }
    return report, truth, maps


def merit(figures: Figures) -> float:
    """Returns the score of a setting: ranking within and between clips, less false positives."""
    ranks = [
        figures[f"{amplitude:g} {kind}"][0]
        for amplitude in AMPLITUDES
        for kind in ("auc", "stratified")
    ]
    ranks = [value for value in ranks if np.isfinite(value)]
    return float(np.mean(ranks) - np.nan_to_num(figures["false_positives"][0]))


def _maps(
    models: Sequence[MicronBert], seeds: int, chosen: Mapping[str, str], truth: Truth
) -> dict[str, np.ndarray]:
    """Computes the maps [S, C, 28, 28] of the models, controls and chosen settings, by name."""
    kind = models[0].map_kinds[0]
    methods: dict[str, learn_methods.Method] = {}
    for n, model in enumerate(models):
        methods[f"model{n} "] = learn_methods.read_out(model)
    for n in range(seeds):
        methods[f"random{n}"] = learn_methods.one_map(
            learn_methods.random_model(models[0], n), kind
        )
    for name, finder in learn_flow.FINDERS.items():
        if any(setting.startswith(f"{name} ") for setting in chosen.values()):
            methods[f"{name} "] = learn_methods.flows(finder)
    methods["difference "] = learn_methods.differences
    results = learn_methods.compute(methods, truth, label="clips")
    maps = {
        name.removeprefix("model0 "): np.stack(
            [results[name.replace("model0", f"model{n}", 1)] for n in range(len(models))]
        )
        for name in results
        if name.startswith("model0 ")
    }
    maps = {"ours": maps[kind]} | maps
    maps["random"] = np.stack([results[f"random{n}"] for n in range(seeds)])
    maps |= {name: results[setting][None] for name, setting in chosen.items()}
    return maps | {"difference_raw": results[f"{chosen['difference']}_raw"][None]}


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


def _merits(others: Truth) -> dict[str, float]:
    """Returns the merit of each setting of flow and difference, the best first."""
    count = min(CHOICE_CLIPS, len(others))
    part = others.clips(np.linspace(0, len(others) - 1, count).astype(int))
    methods = {f"{name} ": learn_methods.flows(flow) for name, flow in learn_flow.FINDERS.items()}
    methods["difference "] = learn_methods.differences
    results = learn_methods.compute(methods, part, label="settings of flow and difference")
    merits = {
        name: merit(learn_scores.figures(maps, part, resamples=0))
        for name, maps in results.items()
        if not name.endswith("_raw")
    }
    return dict(sorted(merits.items(), key=lambda item: -item[1]))


def _best_of_each_kind(merits: dict[str, float]) -> dict[str, str]:
    """Returns the first setting of each kind, from merits in falling order."""
    best = {}
    for setting in merits:
        family = setting.split()[0]
        rest = next((rest for rest in learn_flow.RESTS if f" {rest}" in setting), None)
        best.setdefault(f"{family}_{rest}" if rest else family, setting)
        if rest:
            best.setdefault("flow", setting)
    return best


def _shuffled(maps: np.ndarray, truth: Truth) -> Figures:
    """Returns the mean figures of `SHUFFLES` shuffles, and each, in the place of the resamples."""
    rng = np.random.default_rng(0)
    runs = [learn_scores.figures(maps, truth.shuffled(rng), resamples=0) for _ in range(SHUFFLES)]
    columns = {name: np.array([run[name][0] for run in runs]) for name in runs[0]}
    return {name: np.concatenate([[np.mean(x)], x]) for name, x in columns.items()}

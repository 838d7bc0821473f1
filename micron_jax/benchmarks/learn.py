"""What has a checkpoint learned? Its maps, controls and rivals against known truth.

The names of the read-outs:

- `KIND`, `KIND_raw`: a heat of the checkpoint, of registered frames and of frames as they are;
  `ours` is its default heat of registered frames.
- `same_frame`: the default heat of the onset against itself; `release_same_frame` the release's.
- `random`: the default heat of the same network before any training, a mean over seeds.
- `location`: how often each place moved in clips of other people; it sees no frame.
- `shuffled`: `ours`, the truth dealt out to the clips by chance; `stratified` is then 0.5.
- `difference`, `difference_raw`; `farneback_median`, `farneback_affine`, the same of `dis` and of
  `both` together; `flow`, the best of these six: see `learn_flow`. Each is the best setting of its
  kind on people other than those it is judged on.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from micron_jax import pretrained
from micron_jax.benchmarks import learn_flow, learn_methods, learn_scores, learn_truth
from micron_jax.benchmarks.learn_scores import Figures
from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth
from micron_jax.errors import UserError

SHUFFLES = 20
CHOICE_CLIPS = 64  # at most, that the rivals' settings are chosen on
# Of each kind where there is nobody to choose on: the best on the people we had.
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
    """The whole benchmark.

    Args:
      checkpoints: of one architecture, such as the seeds of a training: their figures are averaged.
      folders: sets that `micron-jax data synth` made.
      choose: sets on whose `val` people, or else `train` people, the rivals' settings are chosen
        and the prior of places is counted; empty: on those of `folders`.
      split: whose clips are judged.
      seeds: of the random weights.

    Returns:
      The report {"readouts": {name: see `learn_scores.evaluate`}, "over_flow": what `ours` is
      better by, "chosen", ...}, the truth, and the maps [S, C, 28, 28] by name.

    Raises:
      UserError: a set or a checkpoint cannot be used.
    """
    truth = learn_truth.load(folders, split)
    models = [pretrained.load(checkpoint) for checkpoint in checkpoints]
    kinds = models[0].map_kinds
    for checkpoint, model in zip(checkpoints, models, strict=True):
        if model.config != models[0].config or model.map_kinds != kinds:
            raise UserError(
                f"--checkpoint {checkpoint}: another network than {checkpoints[0]}; give "
                "checkpoints of one setting, or run them apart"
            )
    others, chosen_on = _others(choose or folders, split)
    merits = _merits(others) if others else {}
    chosen = _chosen(merits) if merits else DEFAULTS

    ways: dict[str, learn_methods.Way] = {}
    for n, model in enumerate(models):
        ways[f"model{n} "] = learn_methods.read_out(model)
    for n in range(seeds):
        ways[f"random{n}"] = learn_methods.one_heat(
            learn_methods.random_model(models[0], n), kinds[0]
        )
    for name, finder in learn_flow.FINDERS.items():
        if any(candidate.startswith(f"{name} ") for candidate in chosen.values()):
            ways[f"{name} "] = learn_methods.flows(finder)
    ways["difference "] = learn_methods.differences
    seen = learn_methods.see(ways, truth, label="clips")

    maps = {
        name.removeprefix("model0 "): np.stack(
            [seen[name.replace("model0", f"model{n}", 1)] for n in range(len(models))]
        )
        for name in seen
        if name.startswith("model0 ")
    }
    maps = {"ours": maps[kinds[0]]} | maps
    maps["random"] = np.stack([seen[f"random{n}"] for n in range(seeds)])
    for name, candidate in chosen.items():
        maps[name] = seen[candidate][None]
    maps["difference_raw"] = seen[f"{chosen['difference']}_raw"][None]
    if others:
        prior = others.moved.mean(axis=0, dtype=np.float32)
        maps["location"] = np.broadcast_to(prior, (1, *truth.moved.shape))

    found = {name: learn_scores.figures(values, truth) for name, values in maps.items()}
    readouts = {name: learn_scores.summary(values, truth) for name, values in found.items()}
    shuffled = learn_scores.summary(_shuffled(maps["ours"], truth), truth)
    report = {
        "readouts": readouts | {"shuffled": shuffled},
        "over_flow": learn_scores.difference(found["ours"], found["flow"]),
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


def merit(found: Figures) -> float:
    """What the rivals' settings are chosen by: ranking within and between clips, false alarms."""
    ranked = [
        found[f"{amplitude:g} {kind}"][0]
        for amplitude in AMPLITUDES
        for kind in ("auc", "stratified")
    ]
    ranked = [value for value in ranked if np.isfinite(value)]
    return float(np.mean(ranked) - np.nan_to_num(found["false_positives"][0]))


def _others(folders: Sequence[Path], split: str) -> tuple[Truth | None, str]:
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
    """Of each setting of flow and difference, best first."""
    count = min(CHOICE_CLIPS, len(others))
    part = others.clips(np.linspace(0, len(others) - 1, count).astype(int))
    ways = {f"{name} ": learn_methods.flows(finder) for name, finder in learn_flow.FINDERS.items()}
    ways["difference "] = learn_methods.differences
    seen = learn_methods.see(ways, part, label="choosing the rivals' settings")
    merits = {
        name: merit(learn_scores.figures(maps, part, resamples=0))
        for name, maps in seen.items()
        if not name.endswith("_raw")
    }
    return dict(sorted(merits.items(), key=lambda item: -item[1]))


def _chosen(merits: dict[str, float]) -> dict[str, str]:
    """The best candidate of each kind, from merits in falling order."""
    chosen = {}
    for candidate in merits:
        family = candidate.split()[0]
        rest = next((rest for rest in learn_flow.RESTS if f" {rest}" in candidate), None)
        chosen.setdefault(f"{family}_{rest}" if rest else family, candidate)
        if rest:
            chosen.setdefault("flow", candidate)
    return chosen


def _shuffled(maps: np.ndarray, truth: Truth) -> Figures:
    """Figures of `SHUFFLES` deals, after their mean, where `figures` has those of resamples."""
    rng = np.random.default_rng(0)
    deals = [learn_scores.figures(maps, truth.shuffled(rng), resamples=0) for _ in range(SHUFFLES)]
    columns = {name: np.array([deal[name][0] for deal in deals]) for name in deals[0]}
    return {name: np.concatenate([[np.mean(x)], x]) for name, x in columns.items()}

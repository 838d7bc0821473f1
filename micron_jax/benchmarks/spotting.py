"""The spotting benchmark: films with inserted expressions, searched and held against the truth.

On the films of some people the confidence is fitted; those of others judge it, beside optical
flow, whose own confidence is fitted on the same people. What is found besides is a false alarm,
though a film's own blinks and words are among it.
"""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.benchmarks.learn_levels import nearest
from micron_jax.datasets.long_videos.inserted import FILE, read_inserted
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.errors import UserError
from micron_jax.evaluation.spotting_matching import Matches, match_all
from micron_jax.evaluation.spotting_metrics import summarize_spotting
from micron_jax.evaluation.spotting_tables import Detection, Joined
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.confidence import METHODS, Confidence, fit
from micron_jax.spotting.spot_folder import SpotFolder
from micron_jax.spotting.spotted import KIND, search
from micron_jax.video.inputs import find_inputs

_UNSEARCHED = "not searched: "
BINS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the calibration


def measure(
    model: MicronBert, digest: str, fit_on: Path, judge_on: Path, workdir: Path, alarms: float
) -> dict[str, Any]:
    """Runs the whole benchmark; what is searched stays in `workdir`, and a second call goes on.

    Args:
      digest: of the model's weights.
      fit_on, judge_on: sets that `micron-jax data synth --films` made.
      alarms: false alarms a minute at which the methods are compared.

    Returns:
      {"confidence": {method: fields of `Confidence`}, "methods": {method: {"threshold", "f1",
      "interval", "precision", "recall", "false_alarms_per_minute", "best_f1", "calibration":
      [{"from", "to", "count", "mean", "right"}], "found": {px: share}, "alarms_by_kind":
      {kind: a minute}}}, "unsearched": [{"clip", "reason"}], "films", "people", "expressions",
      "minutes", "alarms_per_minute"}.

    Raises:
      UserError: a set or the workdir cannot be used.
    """
    others = _searched(model, digest, fit_on, workdir / "fit")
    judged = _searched(model, digest, judge_on, workdir / "judge")
    report: dict[str, Any] = {"confidence": {}, "methods": {}}
    for method in METHODS:
        confidence = fit(*_to_learn(*others, method))
        report["confidence"][method] = dataclasses.asdict(confidence)
        report["methods"][method] = _judge(*judged, method, confidence, alarms)
    truth, _ = judged
    return report | {
        "unsearched": [
            {"clip": video.name, "reason": note.removeprefix(_UNSEARCHED)}
            for searched, folder in (others, judged)
            for video in searched.videos
            for note in folder.notes(video.name)
            if note.startswith(_UNSEARCHED)
        ],
        "films": len({e.video for e in truth.expressions}),
        "people": len(truth.people),
        "expressions": len(truth.expressions),
        "minutes": _minutes(truth),
        "alarms_per_minute": alarms,
    }


def _searched(
    model: MicronBert, digest: str, folder: Path, workdir: Path
) -> tuple[Truth, SpotFolder]:
    """Searches the films of a set, and the controls of its stills, in which no face moves."""
    both, entries = read_inserted(folder), _entries(folder)
    chosen = [n for n, video in enumerate(both.videos) if video.name in entries]
    place = {n: new for new, n in enumerate(chosen)}
    expressions = [dataclasses.replace(e, video=place[e.video]) for e in both.expressions]
    truth = Truth([both.videos[n] for n in chosen], expressions)
    found = SpotFolder(workdir, {"checkpoint": digest})
    for video in truth.videos:
        (clip,) = find_inputs([video.path])
        if found.has(video.name, clip.facts, *METHODS):
            continue
        try:
            results = search(model, clip, crop="face", fps=video.fps or 30.0, methods=METHODS)
        except UserError as error:  # no face, or no pair: nothing is found there
            results = {method: [] for method in METHODS}, [], [f"{_UNSEARCHED}{error}"]
        found.add(video.name, clip.facts, *results)
    return truth, found


def _match(
    truth: Truth, folder: SpotFolder, method: str, confidence: Confidence | None
) -> tuple[Matches, np.ndarray]:
    """All candidates, matched, and their facts [N, F]; without a confidence all count alike."""
    joined, facts = [], []
    for place, video in enumerate(truth.videos):
        for one in folder.found(video.name, method):
            sure = 1.0
            if confidence is not None:
                sure = float(confidence.probability(np.array([one["facts"]]))[0])
            onset, apex, offset = one["frames"]
            detection = Detection(video.name, onset, offset, KIND, sure, apex)
            joined.append(Joined(place, detection))
            facts.append(one["facts"])
    return match_all(truth, joined), np.array(facts)


def _to_learn(
    truth: Truth, folder: SpotFolder, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """The arguments of `confidence.fit`."""
    matches, facts = _match(truth, folder, method, None)
    if not len(facts):
        raise UserError(f"{folder.path}: nothing is found in its films by {method}")
    kinds = _kinds(truth)
    ordinary = np.array([kinds[one.video] == "film" for one in matches.joined])
    minutes = sum(
        video.seconds or 0.0
        for video, kind in zip(truth.videos, kinds, strict=True)
        if kind == "film"
    )
    people = np.array([truth.videos[one.video].subject for one in matches.joined])
    return facts, matches.hits >= 0, ordinary, people, minutes / 60


def _judge(
    truth: Truth, folder: SpotFolder, method: str, confidence: Confidence, alarms: float
) -> dict[str, Any]:
    threshold = confidence.threshold(alarms)
    matches, _ = _match(truth, folder, method, confidence)
    summary = summarize_spotting(truth, matches, threshold)
    scores = summary["kinds"][KIND]
    kept = ("f1", "interval", "precision", "recall", "false_alarms_per_minute")
    curve = summary["curve"].get(KIND, [])
    right = matches.hits >= 0
    return {name: scores[name] for name in kept} | {
        "threshold": threshold,
        "best_f1": max((point["f1"] for point in curve), default=None),
        "calibration": [
            {
                "from": low,
                "to": high,
                "count": int(some.sum()),
                "mean": float(matches.confidences[some].mean()) if some.any() else None,
                "right": float(right[some].mean()) if some.any() else None,
            }
            for low, high in itertools.pairwise(BINS)
            for some in [
                np.searchsorted(BINS[1:-1], matches.confidences, "right") == BINS.index(low)
            ]
        ],
        "found": _found(truth, matches, threshold, folder),
        "alarms_by_kind": _alarms(truth, matches, threshold),
    }


def _entries(folder: Path) -> dict[str, dict]:
    """Entries of `truth.json` by the name of the film; a still's control is `motionless`."""
    films = json.loads((folder / FILE).read_text("utf-8"))["films"]
    stills = [film for film in films if film["kind"] == "still"]
    return {film["film"]: film for film in films} | {
        still["control"]: {"kind": "motionless"} for still in stills
    }


def _entries_of(truth: Truth) -> list[dict]:
    """The entry of each video."""
    entries = _entries(Path(truth.videos[0].path).parent.parent)
    return [entries[video.name] for video in truth.videos]


def _kinds(truth: Truth) -> list[str]:
    return [entry["kind"] for entry in _entries_of(truth)]


def _found(
    truth: Truth, matches: Matches, threshold: float, folder: SpotFolder
) -> dict[str, float]:
    """The share of expressions that are found, by their largest displacement, px."""
    entries, hit = _entries_of(truth), set(matches.hits[matches.confidences >= threshold].tolist())
    counts: dict[float, list[bool]] = {}
    order: dict[int, int] = {}
    for n, expression in enumerate(truth.expressions):
        number = order[expression.video] = order.get(expression.video, -1) + 1
        one = entries[expression.video]["expressions"][number]
        counts.setdefault(nearest(one["amplitude"]), []).append(n in hit)
    return {f"{px:g}": float(np.mean(some)) for px, some in sorted(counts.items())}


def _alarms(truth: Truth, matches: Matches, threshold: float) -> dict[str, float]:
    """False alarms a minute, by the kind of film."""
    kinds, wrong, minutes = _kinds(truth), {}, {}
    for video, kind in zip(truth.videos, kinds, strict=True):
        minutes[kind] = minutes.get(kind, 0.0) + (video.seconds or 0.0) / 60
    for one, hit in zip(matches.joined, matches.hits, strict=True):
        if hit < 0 and one.detection.confidence >= threshold:
            kind = kinds[one.video]
            wrong[kind] = wrong.get(kind, 0) + 1
    return {kind: wrong.get(kind, 0) / length for kind, length in minutes.items()}


def _minutes(truth: Truth) -> float:
    return sum(video.seconds or 0.0 for video in truth.videos) / 60

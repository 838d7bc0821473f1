"""The content of the report: the lines, tables and figures that its templates show."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from micron_jax import __version__
from micron_jax.datasets.synthetic_names import is_marked, unmarked
from micron_jax.evaluation import plots
from micron_jax.evaluation.run_files import Hardest, Run
from micron_jax.evaluation.summary import PAPER

NAMES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}
# Of the maps of hardest clips, by their kind: the end of the scale where it is fixed; their unit.
TOPS = {"motion": 3.0}
MAPS = {"motion": "displacement, px", "symmetric": "symmetric map, logits"}
MAX_CLIPS = 12  # that are shown: a page of a few megabytes
VERSIONS = ("micron_jax", "jax", "python", "git", "device", "started", "finished")


class Table(NamedTuple):
    """A table of the report; its first column names the rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def text_content(summary: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Returns what both forms of the report show.

    Args:
      summary: of `summary.summarize`, with `against` if there is a comparison.
    """
    classes = summary["per_class"].items()
    uncounted = [name for name, row in classes if not row["counted"]]
    confusion = zip(summary["classes"], summary["confusion"], strict=True)
    return {
        "summary": summary,
        "names": NAMES,
        "uncounted": uncounted,
        "metrics": _metrics(summary),
        "leaky": run.leaky and _leaky(run.leaky),
        "calibration": run.calibration and _calibration(run.calibration),
        "keyframes": run.keyframe_errors and _keyframes(run.keyframe_errors),
        "seeds": _seeds(summary["seeds"]) if summary["seeds"]["count"] > 1 else None,
        "runs": _runs(summary["runs"]) if "runs" in summary else None,
        "pairs": _pairs(summary["pairs"]) if "pairs" in summary else None,
        "comparisons": [_comparison(comparison) for comparison in summary.get("against", ())],
        "sets": _sets(summary["per_set"]) if len(summary["per_set"]) > 1 else None,
        "classes": Table(
            ["class", "clips", "F1", "recall", "precision"],
            [[name, c["samples"], *_shares(c, "f1", "recall", "precision")] for name, c in classes],
        ),
        "confusion": Table(
            ["label → prediction", *summary["classes"]],
            [[name, *counts] for name, counts in confusion],
        ),
        "protocol": summary["protocol"],
        "synthetic": [unmarked(name) for name in summary["per_set"] if is_marked(name)],
        "differences": _differences(summary["protocol"], run) if summary["protocol"] else [],
    }


def page_content(summary: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Returns `text_content` and what only the page shows: figures, subjects, versions."""
    curves = [
        plots.curve_figure(run.curves, f"train_{name}", f"Training {name} over epochs")
        for name in ("loss", "accuracy")
    ]
    return text_content(summary, run) | {
        "paper": PAPER,
        "subjects": sorted(summary["per_subject"], key=_natural_order),
        "keyframe_figure": run.keyframe_errors and plots.keyframe_figure(run.keyframe_errors),
        "reliability_bins": run.calibration,
        "curves": [curve for curve in curves if curve],
        "trainings": len({(seed, fold) for seed, fold, _ in run.curves}),
        "hardest": _hardest(run.hardest) if run.hardest else None,
        "versions": _versions(run.provenance or {}),
        "config": run.config and json.dumps(run.config, indent=2, ensure_ascii=False),
    }


def share(value: float | None) -> str:
    """Formats a share of 1 as papers print it."""
    return "–" if value is None else f"{value:.4f}"


def span(bounds: Sequence[float] | None, form: str = ".4f") -> str:
    """Formats an interval."""
    return "–" if bounds is None else f"{bounds[0]:{form}} to {bounds[1]:{form}}"


def _shares(values: Mapping, *names: str) -> list[str]:
    return [share(values.get(name)) for name in names]


def _metrics(summary: Mapping) -> Table:
    bounds, published = summary["intervals"] or {}, summary["published"]
    header = ["", "here", "95 % interval"]
    rows = [[text, share(summary[name]), span(bounds.get(name))] for name, text in NAMES.items()]
    if published:
        header.append(f"{PAPER}, as published")
        rows = [[*row, share(published.get(name))] for name, row in zip(NAMES, rows, strict=True)]
    return Table(header, rows)


def _leaky(numbers: Mapping) -> dict[str, Any]:
    """Returns the line on a choice on the test clips, which says that it leaks, and its table."""
    label = numbers["label"]
    label = label if "leaky" in label.casefold() else f"LEAKY, for comparison only: {label}"
    if (honest := numbers.get("honest")) is None:  # a workdir of an earlier version
        line = f"{label}: UF1 {share(numbers['uf1'])}, UAR {share(numbers['uar'])}"
        return {"line": line, "table": None}
    rows = []
    for name, text in NAMES.items():
        if name in honest and name in numbers:
            cells = [
                cell
                for part in (honest, numbers)
                for cell in (share(part[name]), span((part.get("intervals") or {}).get(name)))
            ]
            rows.append([text, *cells, f"{numbers[name] - honest[name]:+.4f}"])
    header = ["", "honest", "95 % interval", "leaky, no result", "95 % interval", "leaky − honest"]
    return {"line": f"{label}.", "table": Table(header, rows)}


def _keyframes(record: Mapping) -> dict[str, Any]:
    """Returns the table of errors of onset and apex, and the lines below it."""
    header = ["moved", f"by {record['unit']}", "UF1", "change of UF1", "95 % interval", "p"]
    header += ["UAR", "cut at the clip's end", "unchanged"]
    bare = [share(record["uf1"]), "–", "–", "–", share(record["uar"]), 0, record["clips"]]
    rows, lacking = [["nothing", 0, *bare]], []
    for error in record["errors"]:
        by = f"{error['error']:+g}".replace("-", "−")
        if "uf1" not in error:
            lacking.append(f"{error['keyframe']} {by}")
            continue
        cells = ["–"] * 3
        if difference := (error.get("difference") or {}).get("uf1"):
            change, p = difference["difference"], _probability(difference["p"])
            cells = [f"{change:+.4f}", span(difference["interval"], "+.4f"), p]
        scores = [share(error["uf1"]), *cells, share(error["uar"])]
        rows.append([error["keyframe"], by, *scores, error["clips_cut"], error["clips_same"]])
    lines = [
        "The classifiers of the folds, trained on the sheet's onset and apex, are tested on their "
        "held-out clips with these frames moved; below 0 is earlier. A clip ends at its onset and "
        f"offset: a frame moves no further, and of {record['clips']} clips the table counts those "
        "where it would."
    ]
    if lacking:
        names = ", ".join(lacking)
        lines.append(f"Every clip ends before, so that there is no figure: {names}.")
    return {"table": Table(header, rows), "lines": lines}


def _calibration(record: Mapping) -> str:
    """Returns the line on the calibration of the probabilities."""
    before, after = (share(record[name]["ece"]) for name in ("before", "after"))
    return (
        f"Probabilities: expected calibration error {before} before and {after} after calibration "
        f"({record['label']}). Temperature of all folds: {record['temperature']:.3g}."
    )


def _seeds(seeds: Mapping) -> Table:
    rows = [[run["seed"], *_shares(run, *NAMES)] for run in seeds["runs"]]
    for text, key in (("lowest", "min"), ("highest", "max"), ("standard deviation", "std")):
        rows.append([text, *(share(seeds["spread"][name][key]) for name in NAMES)])
    return Table(["seed", *NAMES.values()], rows)


def _runs(runs: Sequence[Mapping]) -> Table:
    header, rows = ["run", "seeds"], [[run["file"], run["seeds"]] for run in runs]
    for name, text in NAMES.items():
        header += [text, "95 % interval"]
        for row, run in zip(rows, runs, strict=True):
            row += [share(run[name]), span((run["intervals"] or {}).get(name))]
    return Table(header, rows)


def _pairs(pairs: Sequence[Mapping]) -> Table:
    header, rows = ["first − second"], [[f"{p['first']} − {p['second']}"] for p in pairs]
    for name in ("uf1", "uar"):
        header += [NAMES[name], "95 % interval", "p", f"p, Holm of {len(pairs)}"]
        for row, pair in zip(rows, pairs, strict=True):
            test = pair[name]
            row += [f"{test['difference']:+.4f}", span(test["interval"], "+.4f")]
            row += [_probability(test["p"]), _probability(test["p_holm"])]
    return Table(header, rows)


def _comparison(comparison: Mapping) -> dict[str, Any]:
    rows = []
    for name, text in NAMES.items():
        difference, interval, p = (comparison[name][key] for key in ("difference", "interval", "p"))
        rows.append([text, f"{difference:+.4f}", span(interval, "+.4f"), _probability(p)])
    header = ["here − there", "difference", "95 % interval", "p (paired bootstrap)"]
    if pairs := comparison["mcnemar"]:
        p = _probability(pairs["p"])
        mcnemar = (
            f"McNemar, exact: {pairs['only_ours']} clips right here alone, {pairs['only_theirs']} "
            f"there alone, p {p if p.startswith('<') else f'= {p}'}, as if clips of one subject "
            "were independent."
        )
    else:
        mcnemar = "McNemar's test needs one seed against one, and the names of the clips."
    return {"file": comparison["file"], "table": Table(header, rows), "mcnemar": mcnemar}


def _probability(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _sets(sets: Mapping[str, Mapping]) -> Table:
    header, rows = ["set", "clips", "subjects"], []
    for name in ("uf1", "uar"):
        header += [NAMES[name], "95 % interval"]
    for dataset, part in sets.items():
        rows.append([dataset, part["samples"], part["subjects"]])
        for name in ("uf1", "uar"):
            rows[-1] += [share(part[name]), span((part["intervals"] or {}).get(name))]
    return Table(header, rows)


def _differences(protocol: Mapping, run: Run) -> list[str]:
    """Returns lines on where the clips are not the protocol's, those of the training first."""
    lines = (*((run.protocol or {}).get("differences") or ()), *protocol["differences"])
    return list(dict.fromkeys(str(line).strip() for line in lines))


def _natural_order(person: Mapping) -> list[str | int]:
    """Returns the key that sorts subject `s2` before `s10`."""
    parts = re.split(r"(\d+)", person["subject"])
    return [int(part) if part.isdecimal() else part for part in parts]


def _hardest(hardest: Hardest) -> dict[str, Any]:
    """Returns the clips with their pictures, and the legend of their maps, which share a scale."""
    maps = np.clip(np.nan_to_num(hardest.maps[:MAX_CLIPS]), 0, None)
    # From no motion up; a single patch does not set it.
    top = max(float(np.percentile(maps, 99)), 1e-6) if maps.size else 1.0
    top = TOPS.get(hardest.kind, top)
    clips = []
    for n, motion in enumerate(maps):
        onset, apex = hardest.onset[n], hardest.apex[n]
        pictures = {"onset": onset, "apex": apex, "map": plots.map_over(apex, motion, top)}
        clip = {name: getattr(hardest, name)[n] for name in ("clip", "label", "prediction")}
        addresses = {name: plots.picture_address(picture) for name, picture in pictures.items()}
        clips.append(clip | {"pictures": addresses})
    unit = MAPS.get(hardest.kind, "motion")
    return {"clips": clips, "unit": unit, "top": f"{top:.2g}", "colors": plots.gradient()}


def _versions(provenance: Mapping) -> list[tuple[str, str]]:
    """Returns (name, value) of everything that the numbers rest on."""
    rows = {name: provenance.get(name) for name in VERSIONS}
    rows["weights"] = provenance.get("checkpoint") or None
    rows["features"] = provenance.get("features")
    sheets = provenance.get("sheets")
    for name, sheet in sheets.items() if isinstance(sheets, Mapping) else ():
        rows[f"sheet of {name}"] = sheet
    rows["command"] = provenance.get("command")
    rows["evaluated with"] = f"micron_jax {__version__}"
    return [(name, _plain(value)) for name, value in rows.items() if value is not None]


def _plain(value: Any) -> str:
    """Formats {"source": x, "sha256": y} as `x, sha256 y`, and a list as a command line."""
    if isinstance(value, Mapping):
        first = [str(value[name]) for name in ("source", "file") if value.get(name)]
        rest = [f"{k} {v}" for k, v in value.items() if k not in ("source", "file") and v]
        return ", ".join([*first, *rest])
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

"""`report.html`: one page that needs nothing beside it, neither files nor a network nor scripts."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from micron_jax import __version__
from micron_jax.evaluation import plots
from micron_jax.evaluation.published import PAPER
from micron_jax.evaluation.report_markdown import (
    COMPARISON,
    NAMES,
    headline,
    leaky,
    mcnemar,
    notes,
    probability,
    protocol_differences,
    share,
    span,
)
from micron_jax.evaluation.report_style import CSS
from micron_jax.evaluation.run_files import Hardest, Run

CLIPS = 12  # shown at most: a page of a few megabytes
VERSIONS = ("micron_jax", "jax", "python", "git", "device", "started", "finished")


def page(summary: Mapping[str, Any], run: Run, title: str) -> str:
    """The whole page.

    Args:
      summary: of `summary.summarize`, with `against` if there is a comparison.
      run: what a fine-tuning left.
      title: what was evaluated; like all text from files it is escaped.
    """
    sections = [
        ("", _headline(summary, run)),
        ("Seeds", _seeds(summary["seeds"])),
        ("Compared with", "".join(map(_against, summary.get("against", ())))),
        ("Protocol and counts", _protocol(summary, run)),
        ("Sets and classes", _parts(summary)),
        ("Confusion matrix", _confusion(summary)),
        ("Subjects", _subjects(summary["per_subject"])),
        ("Training", _curves(run)),
        ("Hardest clips", _hardest(run.hardest) if run.hardest else ""),
        ("Exact versions", _versions(run)),
    ]
    body = "".join(
        f"<section>{f'<h2>{name}</h2>' if name else ''}{content}</section>\n"
        for name, content in sections
        if content
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · micron_jax</title>
<style>{CSS}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="soft">{escape(headline(summary))}</p>
{body}</main>
</body>
</html>
"""


def _headline(summary: Mapping, run: Run) -> str:
    published, bounds = summary["published"] or {}, summary["intervals"] or {}
    runs = summary["seeds"]["runs"]
    cards = []
    for name, text in NAMES.items():
        marks = [one[name] for one in runs] if len(runs) > 1 else ()
        beside = f"95 % interval {span(bounds.get(name))}"
        if name in published:
            beside += f"<br>published: {share(published[name])}"
        picture = plots.strip(summary[name], bounds.get(name), marks, published.get(name))
        cards.append(
            f'<div class="card"><div class="name">{text}</div>'
            f'<div class="number">{share(summary[name])}</div>'
            f'<div class="beside soft">{beside}</div>{picture}</div>'
        )
    legend = "Dot: these predictions; band: the interval"
    legend += "; strokes: the seeds, whose mean the dot is" if len(runs) > 1 else ""
    legend += f"; ring: {PAPER}, as published" if published else ""
    out = f'<div class="cards">{"".join(cards)}</div><p class="soft">{legend}.</p>'
    out += "".join(f'<p class="soft note">{escape(line)}</p>' for line in notes(summary))
    if run.leaky:
        out += f'<p class="warn">{escape(leaky(run.leaky))}</p>'
    return out


def _seeds(seeds: Mapping) -> str:
    if seeds["count"] < 2:
        return ""
    rows = [[run["seed"], *(share(run[name]) for name in NAMES)] for run in seeds["runs"]]
    for text, key in (("lowest", "min"), ("highest", "max"), ("standard deviation", "std")):
        rows.append([text, *(share(seeds["spread"][name][key]) for name in NAMES)])
    return _table(["seed", *NAMES.values()], rows)


def _against(comparison: Mapping) -> str:
    rows = [
        [
            text,
            f"{comparison[name]['difference']:+.4f}",
            "{:+.4f} to {:+.4f}".format(*comparison[name]["interval"]),
            probability(comparison[name]["p"]),
        ]
        for name, text in NAMES.items()
    ]
    return (
        f"<p>{escape(comparison['file'])}</p>{_table(COMPARISON, rows)}"
        f'<p class="soft">{escape(mcnemar(comparison["mcnemar"]))}</p>'
    )


def _protocol(summary: Mapping, run: Run) -> str:
    protocol = summary["protocol"]
    if not protocol:
        return "<p>None was named: the labels that occur are the classes.</p>"
    rows, expected = [], protocol["expected"]
    for name in dict.fromkeys((*protocol["found"], *expected)):
        found = protocol["found"].get(name, {"samples": {}, "subjects": 0})
        wanted = expected.get(name, {"samples": {}, "subjects": None})
        cells = [
            _count(found["samples"].get(label, 0), wanted["samples"].get(label))
            for label in summary["classes"]
        ]
        rows.append([name, *cells, _count(found["subjects"], wanted["subjects"])])
    out = f"<p><b>{escape(protocol['name'])}</b></p>"
    out += _table(["set", *summary["classes"], "subjects"], rows)
    if told := protocol_differences(protocol, run):
        items = "".join(f"<li>{escape(line)}</li>" for line in told)
        return f'{out}<div class="warn">Differs from the published counts:<ul>{items}</ul></div>'
    same = "As published." if expected else "No published counts to compare with."
    return f'{out}<p class="soft">{same}</p>'


def _count(found: int, wanted: int | None) -> str:
    return str(found) if wanted in (None, found) else f"{found} (expected {wanted})"


def _parts(summary: Mapping) -> str:
    rows = []
    for name, part in summary["per_set"].items():
        bounds = part["intervals"] or {}
        numbers = [cell for n in ("uf1", "uar") for cell in (share(part[n]), span(bounds.get(n)))]
        rows.append([name, part["samples"], part["subjects"], *numbers])
    header = ["set", "clips", "subjects", "UF1", "95 % interval", "UAR", "95 % interval"]
    sets = _table(header, rows) if len(rows) > 1 else ""
    rows = [
        [name, row["samples"], *(share(row[metric]) for metric in ("f1", "recall", "precision"))]
        for name, row in summary["per_class"].items()
    ]
    return sets + _table(["class", "clips", "F1", "recall", "precision"], rows)


def _confusion(summary: Mapping) -> str:
    names = summary["classes"]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for name, row in zip(names, summary["confusion"], strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td style="--share:{n / total:.3f}">{n}<small>{n / total:.0%}</small></td>'
            for n in row
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    summed = ", summed over the seeds" if summary["seeds"]["count"] > 1 else ""
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="soft">Rows: what the clips are; columns: what was predicted{summed}.</p>'
    )


def _subjects(people: Sequence[Mapping]) -> str:
    out = '<p class="soft">Clips predicted rightly, of all of a subject\'s clips.</p>'
    for dataset in dict.fromkeys(person["set"] for person in people):
        rows = []
        for person in sorted((p for p in people if p["set"] == dataset), key=_numbered):
            right = person["correct"] / person["samples"]
            name = escape(person["subject"])
            rows.append(
                f'<div><span title="{name}">{name}</span>'
                f'<span class="bar"><i style="--share:{right:.3f}"></i></span>'
                f"<span>{person['correct']:.3g} / {person['samples']}</span></div>"
            )
        heading = f"<p><b>{escape(dataset)}</b></p>" if dataset else ""
        out += f'{heading}<div class="subjects">{"".join(rows)}</div>'
    return out


def _numbered(person: Mapping) -> list[tuple[int, str]]:
    """2 before 10, in names such as `s2`, too."""
    parts = re.split(r"(\d+)", person["subject"])
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _curves(run: Run) -> str:
    figures = []
    for name, text in (("train_loss", "loss"), ("train_accuracy", "accuracy")):
        if curve := plots.over_epochs(run.curves, name):
            picture = plots.curves(f"training {text} over epochs", *curve)
            caption = f"<figcaption>Training {text} over epochs</figcaption>"
            figures.append(f"<figure>{picture}{caption}</figure>")
    if not figures:
        return ""
    folds = len({(seed, fold) for seed, fold, _ in run.curves})
    note = f"Median and range over {folds} trainings, one a fold and seed."
    return f'<div class="pair">{"".join(figures)}</div><p class="soft">{note}</p>'


def _hardest(hardest: Hardest) -> str:
    # One scale for all, from no motion up; a single patch does not set it.
    heat = np.clip(np.nan_to_num(hardest.maps[:CLIPS]), 0, None)
    top = max(float(np.percentile(heat, 99)), 1e-6) if heat.size else 1.0
    figures = []
    for n, clip in enumerate(hardest.clip[:CLIPS]):
        onset, apex = hardest.onset[n], hardest.apex[n]
        shown = (("onset", onset), ("apex", apex), ("heat", plots.heat_over(apex, heat[n], top)))
        images = "".join(f'<img src="{plots.frame(image)}" alt="{name}">' for name, image in shown)
        caption = (
            f"{escape(clip)}<br>is <b>{escape(hardest.label[n])}</b>, "
            f"predicted <b>{escape(hardest.prediction[n])}</b>"
        )
        figures.append(
            f'<figure><div class="frames">{images}</div><figcaption>{caption}</figcaption></figure>'
        )
    if not figures:
        return ""
    text = "Onset, apex, and the apex with what moved between them."
    return f'<p class="soft">{text}</p><div class="clips">{"".join(figures)}</div>'


def _versions(run: Run) -> str:
    told, rows = run.provenance or {}, []
    for name in VERSIONS:
        if told.get(name) is not None:
            rows.append((name, told[name]))
    if checkpoint := told.get("checkpoint"):
        rows.append(("weights", _text(checkpoint)))
    sheets = told.get("sheets")
    for name, sheet in sheets.items() if isinstance(sheets, Mapping) else ():
        rows.append((f"sheet of {name}", _text(sheet)))
    if "command" in told:
        rows.append(("command", _text(told["command"])))
    rows.append(("evaluated with", f"micron_jax {__version__}"))
    out = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in rows)
    out = f"<dl>{out}</dl>"
    if run.config is not None:
        text = escape(json.dumps(run.config, indent=2, ensure_ascii=False))
        out += f"<details><summary>config</summary><pre>{text}</pre></details>"
    return out


def _text(value: Any) -> str:
    """{"source": x, "sha256": y} -> `x, sha256 y`; a list as a command line."""
    if isinstance(value, Mapping):
        first = [str(value[name]) for name in ("source", "file") if value.get(name)]
        rest = [f"{k} {v}" for k, v in value.items() if k not in ("source", "file") and v]
        return ", ".join([*first, *rest])
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )

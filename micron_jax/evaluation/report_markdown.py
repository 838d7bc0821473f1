"""What `micron-jax evaluate` prints and writes as Markdown: tables that a paper can take."""

from collections.abc import Mapping, Sequence
from typing import Any

from micron_jax.evaluation.published import CAVEAT, PAPER
from micron_jax.evaluation.run_files import Run

NAMES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}
COMPARISON = ("here − there", "difference", "95 % interval", "p (paired bootstrap)")
SUBJECTS = 5  # fewer make an interval that says little


def lines(summary: Mapping[str, Any], run: Run | None = None) -> list[str]:
    """A summary (and what a run left) -> lines of Markdown."""
    run = run or Run()
    out = [headline(summary), "", *_metrics(summary), "", *notes(summary)]
    if summary["seeds"]["count"] > 1:
        out += ["", *_seeds(summary["seeds"])]
    if run.leaky:
        out += ["", leaky(run.leaky)]
    for comparison in summary.get("against", ()):
        out += ["", *_against(comparison)]
    if len(summary["per_set"]) > 1:
        out += ["", *_per_set(summary["per_set"])]
    out += ["", *_per_class(summary["per_class"]), "", *_confusion(summary)]
    if summary["protocol"]:
        out += ["", *_protocol(summary["protocol"], run)]
    return out


def headline(summary: Mapping[str, Any]) -> str:
    """What was counted, in a line."""
    seeds, protocol = summary["seeds"]["count"], summary["protocol"]
    name = f"protocol {protocol['name']}" if protocol else "no protocol"
    return (
        f"{summary['samples']:,} clips of {summary['subjects']:,} subjects, "
        f"{len(summary['classes'])} classes, {seeds} seed{'s' * (seeds > 1)}, {name}"
    )


def notes(summary: Mapping[str, Any]) -> list[str]:
    """How to read the numbers."""
    bounds, out = summary["intervals"], []
    if bounds:
        out.append(
            f"Intervals: {100 * bounds['level']:g} %, percentile bootstrap over subjects, within "
            f"each set; {bounds['resamples']:,} resamples."
        )
    always = summary["largest"]
    numbers = ", ".join(f"{text} {share(always[name])}" for name, text in NAMES.items())
    out.append(f"Always {always['class']}, the largest class: {numbers}.")
    if summary["subjects"] < SUBJECTS:
        out.append(f"Subjects: {summary['subjects']}. So few tell next to nothing about others.")
    left_out = [name for name, row in summary["per_class"].items() if not row["counted"]]
    if left_out:
        out.append(
            f"Predicted, but no clip's label, and not in the means: {', '.join(left_out)}. "
            "With a protocol, its classes all count."
        )
    if summary["published"]:
        out.append(CAVEAT)
    return out


def leaky(numbers: Mapping[str, Any]) -> str:
    """The line on what a choice on the test subjects would have given; it says that it leaks."""
    label = numbers["label"]
    warned = label if "leaky" in label.casefold() else f"LEAKY, for comparison only: {label}"
    return f"{warned}: UF1 {share(numbers['uf1'])}, UAR {share(numbers['uar'])}"


def share(value: float | None) -> str:
    """A share of 1 as papers print it."""
    return "–" if value is None else f"{value:.4f}"


def span(bounds: Sequence[float] | None) -> str:
    """An interval."""
    return "–" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table, padded so that a terminal shows it as one; numbers to the right."""
    cells = [[escaped(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[n]) for row in cells)) for n in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        for row in (cells[0], *cells[1:])
    ]
    return [f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:])]


def escaped(text: str) -> str:
    """Text from a file as a cell or heading: no column, no tag, no line of its own."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _metrics(summary: Mapping) -> list[str]:
    bounds, published = summary["intervals"] or {}, summary["published"]
    rows = [[NAMES[name], share(summary[name]), span(bounds.get(name))] for name in NAMES]
    header = ["", "here", "95 % interval"]
    if published:
        header.append(f"{PAPER}, as published")
        rows = [[*row, share(published.get(name))] for name, row in zip(NAMES, rows, strict=True)]
    return table(header, rows)


def _seeds(seeds: Mapping) -> list[str]:
    rows = [[run["seed"], *(share(run[name]) for name in NAMES)] for run in seeds["runs"]]
    deviation = [share(seeds["spread"][name]["std"]) for name in NAMES]
    return table(["seed", *NAMES.values()], [*rows, ["standard deviation", *deviation]])


def _against(comparison: Mapping) -> list[str]:
    rows = [
        [
            NAMES[name],
            f"{comparison[name]['difference']:+.4f}",
            "{:+.4f} to {:+.4f}".format(*comparison[name]["interval"]),
            probability(comparison[name]["p"]),
        ]
        for name in NAMES
    ]
    return [
        f"Against {comparison['file']}:",
        "",
        *table(COMPARISON, rows),
        "",
        mcnemar(comparison["mcnemar"]),
    ]


def mcnemar(pairs: Mapping[str, Any] | None) -> str:
    """The line on McNemar's test."""
    if pairs is None:
        return "McNemar's test is for one seed against one: choose with --seed."
    p = probability(pairs["p"])
    is_p = p if p.startswith("<") else f"= {p}"
    return (
        f"McNemar, exact: {pairs['only_ours']} clips right here alone, {pairs['only_theirs']} "
        f"there alone, p {is_p}, as if clips of one subject were independent."
    )


def probability(p: float) -> str:
    """A p value."""
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _per_set(sets: Mapping[str, Mapping]) -> list[str]:
    header = ["set", "clips", "subjects", "UF1", "95 % interval", "UAR", "95 % interval"]
    rows = []
    for name, part in sets.items():
        bounds = part["intervals"] or {}
        numbers = [cell for n in ("uf1", "uar") for cell in (share(part[n]), span(bounds.get(n)))]
        rows.append([name, part["samples"], part["subjects"], *numbers])
    return table(header, rows)


def _per_class(classes: Mapping[str, Mapping]) -> list[str]:
    rows = [
        [name, row["samples"], *(share(row[metric]) for metric in ("f1", "recall", "precision"))]
        for name, row in classes.items()
    ]
    return table(["class", "clips", "F1", "recall", "precision"], rows)


def _confusion(summary: Mapping) -> list[str]:
    names = summary["classes"]
    rows = [[name, *row] for name, row in zip(names, summary["confusion"], strict=True)]
    return table(["label → prediction", *names], rows)


def _protocol(protocol: Mapping, run: Run) -> list[str]:
    told = protocol_differences(protocol, run)
    if not protocol["expected"]:
        return [f"Protocol {protocol['name']}: no published counts to compare with."]
    if not told:
        return [f"Protocol {protocol['name']}: clips and subjects as published."]
    return [
        f"Protocol {protocol['name']} DIFFERS from the published counts:",
        *map("- {}".format, told),
    ]


def protocol_differences(protocol: Mapping[str, Any], run: Run) -> list[str]:
    """Where the clips are not the protocol's: what the training found, then what is seen here."""
    census = (run.protocol or {}).get("differences") or ()
    return list(dict.fromkeys(str(line).strip() for line in (*census, *protocol["differences"])))

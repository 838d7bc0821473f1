"""The pages of a report on a device: Markdown, JSON, and a picture of throughput over batch."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from micron_jax.files import write_json, write_whole, writing

PAGE, NUMBERS, PICTURE = "report.md", "report.json", "throughput.png"
_KINDS = {"train": "train step, samples/s", "extract": "features, frames/s"}


def write(folder: Path, results: dict[str, dict], facts: dict) -> None:
    """Writes all pages, each whole.

    Args:
      results: of `parts.run_all`. The names of parts say what their JSON is: `parity…`,
        `train_WAYS` and `extract_WAYS` (of `step_speed.measure`), `sweep_KIND_SERIES` (of
        `batch_sweep.sweep`), `pretrain`, `input`, `folds`.
      facts: of `device_facts.facts`, and more about the whole report.
    """
    with writing(folder):
        write_json(folder / NUMBERS, {"facts": facts, "parts": results})
        write_whole(folder / PAGE, page(results, facts).encode())
        if any(_rows(results, kind) for kind in _KINDS):
            write_whole(folder / PICTURE, picture(results, facts["device"]))


def page(results: dict[str, dict], facts: dict) -> str:
    """Returns the report as Markdown."""
    memory = f", {facts['memory'] / 2**30:.0f} GiB" if facts["memory"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"# Micron-BERT on {facts['device']}",
        "",
        f"{facts['count']} x {facts['device']}{memory}; {facts['driver'] or 'no NVIDIA driver'}; "
        f"Python {facts['python']}, {versions}; {facts['date']}"
        + ("; A REHEARSAL at tiny sizes, its figures mean nothing" if facts["rehearsal"] else ""),
        "",
        *_table(("what", "result"), _answers(results)),
        *_beside(results),
    ]
    for kind, title in _KINDS.items():
        if any(_is_sweep(name, kind) and part["result"] for name, part in results.items()):
            lines += [f"## Batches: {title}", "", *_batches(results, kind)]
    if any(_rows(results, kind) for kind in _KINDS):
        lines += [f"![throughput over batch]({PICTURE})", ""]
    states = [
        (part["title"], part["state"], f"{part['seconds']:.0f} s", part["reason"] or "")
        for part in results.values()
    ]
    lines += ["## Parts", "", *_table(("part", "state", "time", "last line"), states)]
    return "\n".join(lines)


def _answers(results: dict[str, dict]) -> list[tuple[str, str]]:
    """The first table: a line for each question that has an answer."""
    answers = []
    for name, part in results.items():
        result = part["result"]
        if result is None:
            continue
        if name.startswith("parity"):
            checks = result["checks"]
            sound = sum(check["ok"] for check in checks)
            worst = max(checks, key=lambda check: check["error"] / check["bound"])
            text = f"{sound} of {len(checks)} checks within their bounds; nearest to its bound "
            text += f"{worst['name']}, {worst['error']:.1e} of {worst['bound']:.0e}"
            answers.append((part["title"], text))
        elif name == "pretrain" and result["samples_per_second"]:
            text = f"{result['samples_per_second']:,.0f} pairs/s at batch {result['batch']}, "
            text += f"{result['steps']} steps{_mfu(result['mfu'])}; "
            text += f"{result['data_share']:.1%} of the time it waits for data; loss "
            text += f"{result['first_loss']:.3f} to {result['last_loss']:.3f}"
            answers.append((part["title"], text))
        elif name == "input":
            rate = result["ours"]["samples_per_second"]
            text = f"{rate:,.0f} pairs/s"
            if steps := _rows(results, "train"):
                fastest = max(r["samples_per_second"] for rows in steps.values() for r in rows)
                text += f", {rate / fastest:.1f} times what the fastest train step takes"
            answers.append((part["title"], text))
        elif name == "folds":
            same = "the same predictions" if result["identical"] else "PREDICTIONS DIFFER"
            answers.append((part["title"], f"{result['ratio']:.1f} times as fast; {same}"))
    return answers


def _beside(results: dict[str, dict]) -> list[str]:
    """A table of ours beside the release, for each kind that was measured so."""
    lines = []
    for kind, title in _KINDS.items():
        rows = []
        for name, part in results.items():
            if not name.startswith(f"{kind}_") or part["result"] is None:
                continue
            result = part["result"]
            rows.append(_side(f"ours, {result['dtype']}, batch {result['batch']}", result["ours"]))
            sides = {result["way"]: result["theirs"]} if result["theirs"] else {}
            rows += [_side(f"release, {way}", x) for way, x in (sides | result["others"]).items()]
        if rows:
            names = ("side", title, "MFU", "peak memory", "first step", "ours is")
            lines += [f"## Beside the release: {title}", "", *_table(names, rows)]
    return lines


def _side(name: str, side: dict) -> tuple[str, ...]:
    if "failed" in side:
        return (name, "does not work", "", "", "", side["failed"])
    return (
        name,
        f"{side['samples_per_second']:,.1f}",
        _percent(side["mfu"]),
        f"{side['peak_bytes'] / 2**30:.2f} GiB",
        f"{side['compile_seconds']:.1f} s",
        f"{side['ratio']:.2f} x" if "ratio" in side else "",
    )


def _batches(results: dict[str, dict], kind: str) -> list[str]:
    """A table of batches down and series across, and why each series ends."""
    series = _rows(results, kind)
    cells = {
        name: {
            row["batch"]: f"{row['samples_per_second']:,.1f}{_mfu(row['mfu'])}, "
            f"{row['peak_bytes'] / 2**30:.1f} GiB"
            for row in rows
        }
        for name, rows in series.items()
    }
    batches = sorted({batch for column in cells.values() for batch in column})
    rows = [(str(n), *(column.get(n, "") for column in cells.values())) for n in batches]
    lines = _table(("batch", *cells), rows) if rows else [""]
    for name, part in results.items():
        last = (part["result"] or {"rows": []})["rows"][-1:] if _is_sweep(name, kind) else []
        if last and "failed" in last[0]:
            lines[-1:] = [f"- {_series(name, kind)}, batch {last[0]['batch']}: {last[0]['failed']}"]
            lines += [""]
    return lines


def picture(results: dict[str, dict], device: str) -> bytes:
    """Draws throughput over batch, a panel a kind and a line a series: PNG."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (kind, title) in zip(figure.subplots(1, 2), _KINDS.items(), strict=True):
        for name, rows in _rows(results, kind).items():
            rates = [row["samples_per_second"] for row in rows]
            axes.plot([row["batch"] for row in rows], rates, marker="o", markersize=4, label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("batch")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(fontsize=8)
    figure.suptitle(device, fontsize=10)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()


def _rows(results: dict[str, dict], kind: str) -> dict[str, list[dict]]:
    """Series -> its batches that worked."""
    series = {}
    for name, part in results.items():
        if _is_sweep(name, kind) and part["result"]:
            rows = [row for row in part["result"]["rows"] if "failed" not in row]
            series |= {_series(name, kind): rows} if rows else {}
    return series


def _is_sweep(name: str, kind: str) -> bool:
    return name.startswith(f"sweep_{kind}_")


def _series(name: str, kind: str) -> str:
    return name.removeprefix(f"sweep_{kind}_")


def _table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table of Markdown, and an empty line."""
    clean = [[cell.replace("|", "/") for cell in row] for row in (names, *rows)]
    clean.insert(1, ["---"] * len(names))
    return ["| " + " | ".join(row) + " |" for row in clean] + [""]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _mfu(share: float | None) -> str:
    return "" if share is None else f", MFU {share:.1%}"

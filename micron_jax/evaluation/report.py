"""The report of predictions in its two forms, `report.html` and `report.md`, from templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from micron_jax.evaluation.prediction import write_text
from micron_jax.evaluation.predictions import combine_seeds, read_predictions
from micron_jax.evaluation.report_content import Table, page_content, share, span, text_content
from micron_jax.evaluation.run_files import Run, protocol_of, read_run
from micron_jax.evaluation.summary import summarize
from micron_jax.files import writing

HTML, MARKDOWN = "report.html", "report.md"


def write_report(workdir: Path, summary: Mapping[str, Any] | None = None) -> Path:
    """Writes the report of a fine-tuning's workdir there.

    Args:
      workdir: with `predictions.csv`, and whatever else `run_files.read_run` reads.
      summary: of its predictions, where the caller has it.

    Returns:
      The HTML page; `report.md` lies beside it.

    Raises:
      UserError: a file of the workdir cannot be used, or the report cannot be written.
    """
    if summary is None:
        protocol = protocol_of(workdir)
        predictions = combine_seeds([(workdir, read_predictions(workdir, protocol))])
        summary = summarize(predictions, protocol)
    return write_pages(workdir, summary, read_run(workdir), title=workdir.resolve().name)


def write_pages(folder: Path, summary: Mapping[str, Any], run: Run, *, title: str) -> Path:
    """Writes both forms, each whole or not at all, into a folder that it makes.

    Args:
      summary: of `summary.summarize`, with `against` if there is a comparison.
      title: the name of what was evaluated; like all text from files it is escaped.

    Returns:
      The HTML page.

    Raises:
      UserError: the report cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    texts = {  # the larger one first: where it finds no room, the other stays as it was, too
        HTML: _render(HTML, page_content(summary, run), title),
        MARKDOWN: report_text(summary, run, title),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / HTML


def report_text(summary: Mapping[str, Any], run: Run | None = None, title: str = "") -> str:
    """Returns the report as Markdown whose tables a terminal shows, too; arguments as above."""
    return _render(MARKDOWN, text_content(summary, run or Run()), title)


def _render(form: str, content: Mapping[str, Any], title: str) -> str:
    headline, *notes = TEMPLATES.get_template("notes.txt").render(content).splitlines()
    return TEMPLATES.get_template(form).render(content, title=title, headline=headline, notes=notes)


def markdown_table(table: Table) -> str:
    """Formats a Markdown table, padded for a terminal; numbers stand at the right."""
    rows = [[markdown_escape(str(cell)) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:]))


def markdown_escape(text: str) -> str:
    """Escapes text from a file for a cell or heading: no column, no tag, no line of its own."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("micron_jax.evaluation"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {
    "share": share,
    "span": span,
    "markdown_table": markdown_table,
    "markdown_escape": markdown_escape,
}

"""The report of a fine-tuning, or of any predictions: `report.html` and `report.md`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import write_text
from micron_jax.evaluation.predictions import combine, read
from micron_jax.evaluation.report_html import page
from micron_jax.evaluation.report_markdown import escaped, lines
from micron_jax.evaluation.run_files import Run, protocol_of, read_run
from micron_jax.evaluation.summary import summarize

HTML, MARKDOWN = "report.html", "report.md"


def write_report(workdir: Path) -> Path:
    """Evaluates a fine-tuning's workdir and writes its report there.

    Args:
      workdir: with `predictions.csv`; what else `run.read_run` finds there is shown, too.

    Returns:
      The HTML page; `report.md` lies beside it.

    Raises:
      UserError: a file of the workdir cannot be used, or the report cannot be written.
    """
    protocol = protocol_of(workdir)
    predictions = combine([(workdir, read(workdir, protocol))])
    summary = summarize(predictions, protocol)
    return write_pages(workdir, summary, read_run(workdir), title=workdir.resolve().name)


def write_pages(folder: Path, summary: Mapping[str, Any], run: Run, *, title: str) -> Path:
    """Writes both pages, each whole or not at all, and makes the folder; returns the HTML one.

    Raises:
      UserError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from error
    write_text(folder / MARKDOWN, "\n".join([f"# {escaped(title)}", "", *lines(summary, run), ""]))
    write_text(folder / HTML, page(summary, run, title))
    return folder / HTML

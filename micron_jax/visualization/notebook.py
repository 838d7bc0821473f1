"""What a notebook shows of a result: a table and a figure, as HTML without files."""

import base64
import html
import io
from collections.abc import Sequence

from matplotlib.figure import Figure


def page(title: str, figure: Figure, rows: Sequence[Sequence[object]] = ()) -> str:
    """HTML of a line of text, of a table whose first row is its head, and of a figure."""
    parts = [f"<p>{html.escape(title)}</p>"]
    if rows:
        lines = [_line(row, "td" if number else "th") for number, row in enumerate(rows)]
        parts.append(f"<table>{''.join(lines)}</table>")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    data = base64.b64encode(png.getvalue()).decode()
    parts.append(f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts)


def _line(row: Sequence[object], cell: str) -> str:
    cells = (f"<{cell}>{html.escape(str(value))}</{cell}>" for value in row)
    return f"<tr>{''.join(cells)}</tr>"

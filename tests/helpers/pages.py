"""README and docs/: what stands in them for a user to type."""

import re
from pathlib import Path

from helpers.commands import lines

from micron_jax.cli import PROGRAMS

ROOT = Path(__file__).parents[2]
PAGES = {
    path.name: path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
KINDS = {"", "text", "python", "csv", "bibtex"}  # of fenced blocks; "" are commands, `text` output
OURS, SHELL = "micron-jax", ("bash", "time", "python", "pip", "git")


def blocks(kind: str) -> list[tuple[str, str]]:
    """(page, text) of the fenced blocks of a kind."""
    return [(name, t) for name, page in PAGES.items() for k, t in FENCED.findall(page) if k == kind]


def whole(span: str) -> str:
    """A command in the text, which may leave `micron-jax` out."""
    return f"{OURS} {span}" if span.split()[0] in PROGRAMS else span


# Code within the text.
SPANS = [
    " ".join(span.split())
    for page in PAGES.values()
    for span in re.findall(r"`([^`]+)`", FENCED.sub("", page))
]
_BLOCKS = [line for _, text in blocks("") for line in lines(text)]
_WITHIN = [whole(s) for s in SPANS if " " in s and s.split()[0] in (OURS, *SHELL, *PROGRAMS)]
# `micron-jax plan`, `data build`: a command is named, and what it takes is not said.
NAMED = [line for line in _WITHIN if line.startswith(OURS) and " -" not in line]
COMMANDS = [*dict.fromkeys([*_BLOCKS, *(line for line in _WITHIN if line not in NAMED)])]
FRAGMENTS = [*dict.fromkeys(span for span in SPANS if span.startswith("--"))]

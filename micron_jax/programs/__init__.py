"""One file a subcommand; each has `main(argv) -> int`, the exit status."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.files import write_whole

LINES = 10  # of reasons, before "and N more"


class Arguments(argparse.ArgumentParser):
    """An `ArgumentParser` whose help ends with examples, printed as they stand.

    Its complaints are one line, as for any other bad input, and options are written out whole.
    """

    def __init__(self, *, examples: str = "", description: str = "", **settings):
        super().__init__(
            description=textwrap.fill(description, 79),
            epilog=f"examples:\n{examples.strip(chr(10))}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **settings,
        )

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def write_json(path: Path, value: Any) -> None:
    """Writes a report, whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        write_whole(path, (json.dumps(value, indent=2) + "\n").encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def print_reasons(what: str, entries: list[dict]) -> None:
    """Prints how many entries {"clip", "reason"} there are, if any, and the first of them."""
    if entries:
        print(f"{what}: {len(entries):,}")
    for entry in entries[:LINES]:
        more = (
            f", and {entry['frames'] - 1:,} frames after it" if entry.get("frames", 1) > 1 else ""
        )
        print(f"  {entry['clip']}: {entry['reason']}{more}")
    if len(entries) > LINES:
        print(f"  and {len(entries) - LINES:,} more")

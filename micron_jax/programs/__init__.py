"""One file a subcommand; each has `main(argv) -> int`, the exit status."""

import argparse
import json
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.files import write_whole


class Arguments(argparse.ArgumentParser):
    """An `ArgumentParser` whose complaints are one line, as for any other bad input."""

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

"""One file a subcommand; each has `main(argv) -> int`, the exit status."""

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError


class Arguments(argparse.ArgumentParser):
    """An `ArgumentParser` whose complaints are one line, as for any other bad input."""

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def write_json(path: Path, value: Any) -> None:
    """Writes a report, whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(json.dumps(value, indent=2) + "\n")
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error

"""One file a subcommand; each has `main(argv) -> int`, the exit status."""

import argparse

from micron_jax.errors import UserError


class Arguments(argparse.ArgumentParser):
    """An `ArgumentParser` whose complaints are one line, as for any other bad input."""

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")

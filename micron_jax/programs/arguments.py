"""The parser of all commands."""

import argparse
import shutil
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from micron_jax.checks import did_you_mean
from micron_jax.errors import UserError
from micron_jax.files import refuse_bucket
from micron_jax.programs.options import SHARED, number

SETTING = "--config."


def _columns() -> int:
    """Of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


class _Help(argparse.RawDescriptionHelpFormatter):
    """Tells the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        default = action.default
        if (not default and type(default) not in (int, float)) or default == argparse.SUPPRESS:
            return action.help
        if isinstance(default, (list, tuple)):
            default = " ".join(map(str, default))
        return f"{action.help} (default: {default})"


class Arguments(argparse.ArgumentParser):
    """An `ArgumentParser` with one line for each complaint, and the nearest name for a typo.

    Options are written out whole. The help ends with examples, printed as they stand.

    Args:
      prog: the command, as `micron-jax plan`.
      examples: lines for the end of the help.
      takes_settings: the command also takes `--config.FIELD=VALUE`, any number of times; the parsed
        options have them in `settings`, as `config.override` reads them.
    """

    def __init__(self, prog, description, examples, *, takes_settings=False, **arguments):
        epilog = "examples:\n" + examples.strip("\n")
        if takes_settings:
            epilog += "\n\nAny setting of the recipe: --config.FIELD=VALUE."
        super().__init__(
            prog=prog,
            description=textwrap.fill(description, max(20, min(80, _columns()) - 1)),
            epilog=epilog,
            formatter_class=_Help,
            allow_abbrev=False,
            **arguments,
        )
        self._takes_settings = takes_settings

    def option(self, name: str, text: str | None = None, **more) -> None:
        """Adds an option with a value, or a positional; what is left out comes from `SHARED`."""
        self.add_argument(name, **SHARED.get(name, {}) | ({"help": text} if text else {}) | more)

    def count(self, name: str, default: int | None, text: str, at_least: int = 1) -> None:
        """Adds an option that takes a whole number."""
        self.option(name, text, type=number(int, at_least=at_least), metavar="N", default=default)

    def flag(self, name: str, text: str) -> None:
        """Adds an option without a value."""
        self.add_argument(name, action="store_true", help=text)

    def parse_known_args(self, args: Sequence[str], namespace=None):
        """Parses a command; see `argparse`, and `settings` of the class.

        A `Path` must be a file's or folder's. Options that may name a bucket have texts.
        """
        settings, words = self._take_settings(args)
        self._check_names(words)
        options, rest = super().parse_known_args(words, namespace)
        for value in vars(options).values():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path):
                    refuse_bucket(path)
        if self._takes_settings:
            options.settings = settings
        return options, rest

    def error(self, message: str):
        """Raises a `UserError` in place of ending the process."""
        raise UserError(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file=None) -> None:
        print(message, end="", file=file)  # argparse's own hides that the reader has left

    def _take_settings(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """The settings, and the words that are none."""
        settings, rest, ahead = [], [], iter(words)
        for word in ahead:
            if not (self._takes_settings and word.startswith(SETTING)):
                rest.append(word)
                continue
            setting = word if "=" in word else f"{word}={next(ahead, '--')}"
            if setting.startswith(f"{word}=--"):
                self.error(f"{word} has no value; write {word}=VALUE")
            settings.append(setting.removeprefix(SETTING))
        return settings, rest

    def _check_names(self, words: list[str]) -> None:
        """Complains of a mistyped option before argparse misses the one that was meant."""
        for word in words:
            name = word.partition("=")[0]
            if word == "--" or (self._subparsers and not word.startswith("-")):
                return  # what follows belongs to the subcommand
            if name in self._option_string_actions or not name.startswith("-") or name == "-":
                continue
            if not self._negative_number_matcher.match(word):
                options = [name for name in self._option_string_actions if name[:2] == "--"]
                self.error(f"{name}: no such option; {did_you_mean(name, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            nearest = did_you_mean(str(value), map(str, action.choices))
            raise argparse.ArgumentError(action, f"{value!r} is unknown; {nearest}")


def values_of(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Options as keyword arguments of a function that gives them the same names."""
    return {name: getattr(options, name) for name in names}


def add_command(
    commands, name: str, text: str, examples: str, run: Callable[[argparse.Namespace], int], **more
) -> Arguments:
    """Adds a subcommand; `run` takes its options and returns the exit status."""
    more = {"description": text, "examples": examples} | more
    parser = commands.add_parser(name, help=text, **more)
    parser.set_defaults(run=run)
    return parser

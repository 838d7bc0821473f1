"""Commands read as a user's are, by the parser and the recipes of their program; nothing runs."""

import argparse
import importlib

import pytest

from micron_jax.finetuning import config as tuning
from micron_jax.planning.chips import parse_topology
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import read_recipe
from micron_jax.training import config as training

# Command -> the command whose recipes it reads.
RECIPES = {
    "pretrain": "pretrain",
    "plan": "pretrain",
    "bench train": "pretrain",
    "bench extract": "pretrain",
    "finetune": "finetune",
}


def lines(text: str) -> list[str]:
    """The commands of a block, a line each, whatever the lines that they are broken into."""
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]


class Parsed(Exception):
    """Carries a parser, or the options of a command, before anything is done with them."""


def recipe_of(name):
    """The function that reads a recipe's values, by the name of the recipe or of the command."""
    return tuning.parse if name.startswith("finetune") else training.parse


def stopped(argv, monkeypatch, parse_args):
    """Runs a program up to its `parse_args`; returns what that hands to `Parsed`."""
    with monkeypatch.context() as patch:
        patch.setattr(Arguments, "parse_args", parse_args)
        with pytest.raises(Parsed) as caught:
            importlib.import_module(f"micron_jax.programs.{argv[0]}").main(argv[1:])
    return caught.value.args[0]


def parsed(argv, monkeypatch):
    """The options of a command.

    Raises:
      UserError: the parser refuses it.
    """

    def parse_args(self, *args):
        raise Parsed(argparse.ArgumentParser.parse_args(self, *args))

    return stopped(argv, monkeypatch, parse_args)


def check(argv, monkeypatch):
    """Fails on an unknown command, option, choice, recipe, field or topology."""
    options = parsed(argv, monkeypatch)
    command = next((c for c in (argv[0], " ".join(argv[:2])) if c in RECIPES), None)
    if command:
        needed = ["data.data_dir=DIR"]
        sources = ("checkpoint=", "baseline=", "features=")
        if command == "finetune" and not any(one.startswith(sources) for one in options.settings):
            needed.append("checkpoint=CKPT")
        recipe_of(command)(read_recipe(options, RECIPES[command], *needed))
    if command == "plan":
        parse_topology(options.topology)


def parsers(name, monkeypatch):
    """The parser of a command, then those of its subcommands, and theirs."""

    def parse_args(self, *_):
        raise Parsed(self)

    def below(parser):
        actions = parser._subparsers._group_actions if parser._subparsers else ()
        subs = [sub for action in actions for sub in action.choices.values()]
        return [parser, *(one for sub in subs for one in below(sub))]

    return below(stopped([name], monkeypatch, parse_args))

"""Commands read as a user's are, by the parser and the recipes of their program; nothing is run."""

import argparse
import importlib

import pytest

from micron_jax import config as configs
from micron_jax.finetuning import config as tuning
from micron_jax.planning.chips import parse_topology
from micron_jax.programs import Arguments
from micron_jax.training import config as training


def lines(text: str) -> list[str]:
    """The commands of a block, a line each, whatever the lines that they are broken into."""
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]


class Parsed(Exception):
    """A parser, or what it made of a command, before anything is done with it."""


def recipe_of(name):
    """What reads a recipe's settings, by the recipe's name or the command's."""
    return tuning.parse if name.startswith("finetune") else training.parse


def parsed(argv, monkeypatch):
    """argv -> (namespace, settings of the config).

    Raises:
      UserError: what a user would see.
    """
    depth = 0

    def stop(method):
        def parse(self, *args, **kwargs):
            nonlocal depth
            depth += 1
            try:
                found = method(self, *args, **kwargs)
            finally:
                depth -= 1
            if depth:  # of a subcommand's parser, or of the other method
                return found
            raise Parsed(found)

        return parse

    with monkeypatch.context() as patch:
        for method in ("parse_args", "parse_known_args"):
            patch.setattr(Arguments, method, stop(getattr(argparse.ArgumentParser, method)))
        with pytest.raises(Parsed) as caught:
            importlib.import_module(f"micron_jax.programs.{argv[0]}").main(argv[1:])
    (found,) = caught.value.args
    return found if isinstance(found, tuple) else (found, [])


def check(argv, monkeypatch):
    """Fails on an unknown command, option, choice, recipe, field or topology."""
    options, settings = parsed(argv, monkeypatch)
    if argv[0] in ("pretrain", "finetune", "plan"):
        given = ["--config.data.data_dir=DIR", *settings]
        if argv[0] == "finetune" and not any("config.checkpoint" in one for one in given):
            given.append("--config.checkpoint=CKPT")
        recipe_of(argv[0])(configs.override(configs.load(options.config), given))
    elif argv[:2] in (["bench", "train"], ["bench", "extract"]):
        given = ["--config.data.data_dir=DIR", *settings]
        training.parse(configs.override(configs.load(options.config), given))
    else:
        assert settings == []
    if argv[0] == "plan":
        parse_topology(options.topology)


def parsers(name, monkeypatch):
    """The parser of a command, then those of its subcommands."""

    def stop(self, *args, **kwargs):
        raise Parsed(self)

    with monkeypatch.context() as patch:
        for method in ("parse_args", "parse_known_args"):
            patch.setattr(Arguments, method, stop)
        with pytest.raises(Parsed) as caught:
            importlib.import_module(f"micron_jax.programs.{name}").main([])
    (parser,) = caught.value.args
    below = parser._subparsers._group_actions if parser._subparsers else ()
    return [parser, *(sub for action in below for sub in action.choices.values())]

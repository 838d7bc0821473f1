import argparse
import dataclasses
import shlex
import subprocess
import sys

import pytest
from helpers.commands import check, lines, parsers
from helpers.refusals import refusal

from micron_jax.cli import PROGRAMS, main
from micron_jax.config import load, recipes
from micron_jax.finetuning.config import FinetuneConfig
from micron_jax.programs.options import OWN_FIELDS
from micron_jax.training.config import PretrainConfig


def help_of(*words):
    """The help of a command, in a process of its own, after which nothing heavy is imported."""
    code = f"""
import sys
from micron_jax.cli import main
try:
    main([*{words!r}, "--help"])
finally:
    heavy = {{"cv2", "grain", "jax", "numpy", "openpyxl", "tensorflow_datasets"}}
    assert not heavy & set(sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_help_lists_the_commands():
    assert {line.split()[0] for line in help_of().splitlines() if line.split()} >= {*PROGRAMS}


@pytest.mark.parametrize(
    "words", [*PROGRAMS, "data list", "data build", "data faces", "data synth", "bench loso"]
)
def test_every_command_has_help_at_once(words):
    assert f"usage: micron-jax {words} " in help_of(*words.split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_ends_with_examples_that_are_commands(name, monkeypatch):
    for parser in parsers(name, monkeypatch):
        assert parser.prog.split()[:2] == ["micron-jax", name]
        assert max(map(len, parser.format_help().splitlines())) <= 130
        examples = [line for line in lines(parser.epilog) if line.startswith(parser.prog)]
        assert examples, f"{parser.prog} --help shows no example"
        for example in examples:
            if not example.endswith("--help"):
                check(shlex.split(example)[1:], monkeypatch)


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_fits_a_narrow_terminal_of_ascii(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for parser in parsers(name, monkeypatch):
        text = parser.format_help()
        assert text.isascii()
        description = text.split("\n\n")[1]
        assert max(map(len, description.splitlines())) <= 40, parser.prog


def test_the_list_of_commands_fits_it_too(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 40


def test_version(capsys):
    from micron_jax import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"micron-jax {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["dance"], "no command 'dance'; choose one of pretrain"),
        (["pretrain"], "--config"),
        (["convert", "one"], "DST"),
        (["compare", "--recording"], "--recording"),
        (["compare", "--recording", "x", "--loud"], "--loud"),
        (["demo", "--workdir"], "--workdir"),
        (["data", "erase"], "erase"),
        (["visualise"], "no command 'visualise'; did you mean visualize?"),
        (["visualize", "--outptu", "x"], "--outptu: no such option; did you mean --output?"),
        (
            ["visualize", "--outptu=x", "--input"],
            "--outptu: no such option; did you mean --output?",
        ),
        (["extract", "--crop", "hole"], "argument --crop: 'hole' is unknown; did you mean whole?"),
        (["data", "biuld"], "'biuld' is unknown; did you mean build?"),
        (["data", "build", "cassme2"], "'cassme2' is unknown; did you mean casme2?"),
        (["data", "list", "cassme2"], "no benchmark 'cassme2'; did you mean casme2?"),
        (["data", "build", "frames", "--qualty", "9"], "did you mean --quality?"),
        (["bench", "lern"], "'lern' is unknown; did you mean learn?"),
        (["bench", "learn", "--sed", "9"], "--sed: no such option; did you mean --seeds?"),
        (["pretrain", "--confg", "x"], "--confg: no such option; did you mean --config?"),
        (["pretrain", "--config.epochs"], "--config.epochs has no value; write --config.epochs=V"),
        (["evaluate", "x", "--config.seed=1"], "--config.seed: no such option"),
        (["app", "--port", "70000"], "--port: 70000: must be at least 0, and at most 65535"),
        (["app", "--max-mb", "0"], "--max-mb: 0: must be more than 0, and at most 100000"),
        (["extract", "--batch", "x"], "--batch: 'x' is no whole number"),
        (["compare", "--json", "gone/x"], "--json: gone/x: name a file in a folder that exists"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(argv, message, capsys):
    assert message in refusal(argv, capsys)


def test_python_m_is_the_same():
    process = subprocess.run(
        [sys.executable, "-m", "micron_jax", "dance"], capture_output=True, text=True
    )
    assert process.returncode == 2
    assert process.stderr.startswith("micron-jax: no command 'dance'")


@pytest.mark.parametrize(
    ("command", "recipe", "owner"),
    [
        ("pretrain", "finetune_loso", "finetune"),
        ("finetune", "pretrain_demo", "pretrain"),
        ("pretrain", "ablation", "bench ablation"),
        ("plan --topology v5e:2x2", "finetune_demo", "finetune"),
    ],
)
def test_a_recipe_of_another_command_is_named_as_such(command, recipe, owner, tmp_path, capsys):
    words = [*command.split(), "--config", recipe]
    if "plan" not in command:
        words += ["--workdir", str(tmp_path / "run")]
    expected = f"micron-jax: --config {recipe}: a recipe of `micron-jax {owner}`;"
    assert refusal(words, capsys).startswith(expected)
    assert list(tmp_path.iterdir()) == []


def test_fields_that_tell_recipes_apart():
    sections = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}
    for command, kind in sections.items():
        fields = {field.name for field in dataclasses.fields(kind)}
        assert OWN_FIELDS[command] <= fields
        for other in OWN_FIELDS.keys() - {command}:
            assert not OWN_FIELDS[other] & fields
    for name in recipes():
        (owner,) = [c for c, fields in OWN_FIELDS.items() if fields & load(name).keys()]
        assert owner.split()[-1] == name.split("_")[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_names_defaults_and_the_weights_that_come_along(name, monkeypatch):
    for parser in parsers(name, monkeypatch):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            text = parser._get_formatter()._get_help_string(action)
            assert text, f"{parser.prog} {action.dest}: no help"
            if isinstance(action.default, (int, float)) and not isinstance(action.default, bool):
                assert text.endswith(f"(default: {action.default})")
            if action.dest == "checkpoint":
                assert text.startswith("micron-tiny (")
                named = name in ("spot", "visualize", "extract", "app")
                named = named or parser.prog == "micron-jax bench spot"
                assert action.default == ("micron-tiny" if named else None)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/disk/a.json"), "/disk/a.json: No space left on "),
        (OSError(30, "Read-only file system"), "Read-only file system; name a place that can be"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "set TMPDIR to"),
    ],
)
def test_a_disk_that_is_full_is_one_line(monkeypatch, capsys, error, line):
    def fail(_):
        raise error

    monkeypatch.setattr("micron_jax.cli._run", fail)
    assert main(["evaluate"]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("micron-jax: ")
    assert line in said


def test_other_errors_pass(monkeypatch):
    def fail(_):
        raise IsADirectoryError(21, "Is a directory", "x")

    monkeypatch.setattr("micron_jax.cli._run", fail)
    with pytest.raises(IsADirectoryError):
        main(["evaluate"])

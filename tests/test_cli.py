import os
import shlex
import subprocess
import sys

import pytest
from helpers.commands import check, lines, parsers

from micron_jax.cli import PROGRAMS, main


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = (
        "import sys, micron_jax.cli as c; c.main(['--help']); import micron_jax; "
        "print(sorted({'jax', 'numpy', 'flax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *help_lines, imported = done.stdout.splitlines()
    assert imported == "[]"
    for name in PROGRAMS:
        assert any(line.split()[:1] == [name] for line in help_lines)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_has_help_without_jax(name):
    code = f"""
import sys
from micron_jax.cli import main
try:
    main([{name!r}, "--help"])
except SystemExit as stop:
    assert stop.code == 0
assert "jax" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"micron-jax {name}" in done.stdout


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


def test_a_reader_that_leaves_ends_it_quietly():
    command = [sys.executable, "-m", "micron_jax", "data", "list"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


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
        (["demo"], "--workdir"),
        (["data", "erase"], "erase"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(argv, message, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("micron-jax: ")
    assert message in line


def test_python_m_is_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "micron_jax", "dance"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("micron-jax: no command 'dance'")

"""Messages: one line each, in which a terminal finds nothing to obey."""

import warnings

import pytest

from micron_jax import cli
from micron_jax.errors import LONGEST, Notice, UserError, naming, printable

HOSTILE = "x\x1b]0;owned\x07\n\x1b[2Jfine\u202e \udcc4"


def test_printable_keeps_letters_of_all_languages():
    for text in ("plain.txt", "Ünïcode 微表情 🙂", r"C:\data", ""):
        assert printable(text) == text
    assert printable(HOSTILE) == r"x\x1b]0;owned\x07\n\x1b[2Jfine\u202e \udcc4"
    assert printable(printable(HOSTILE)) == printable(HOSTILE)


def test_messages_are_one_short_line():
    with pytest.raises(UserError) as caught, naming(HOSTILE):
        raise UserError(HOSTILE)
    assert str(caught.value) == f"{printable(HOSTILE)}: {printable(HOSTILE)}"
    assert LONGEST < len(str(UserError("x" * 10**6))) < LONGEST + 10


def test_a_command_prints_a_notice_as_one_line(monkeypatch, capsys):
    def run(argv):
        warnings.warn(f"left out: {HOSTILE}", Notice, stacklevel=1)
        warnings.warn("left out: again", Notice, stacklevel=1)
        raise UserError(HOSTILE)

    monkeypatch.setattr(cli, "_run", run)
    assert cli.main([]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"micron-jax: warning: left out: {printable(HOSTILE)}",
        "micron-jax: warning: left out: again",
        f"micron-jax: {printable(HOSTILE)}",
    ]

"""Commands that are refused: status 2, one line on stderr, nothing on stdout."""

from micron_jax.cli import main


def refusal(argv, capsys) -> str:
    """Runs a command that must be refused; returns its one line."""
    assert main([*map(str, argv)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("micron-jax: ")
    return line

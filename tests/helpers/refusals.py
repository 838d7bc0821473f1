"""Commands that are refused: status 2, one line on stderr, nothing on stdout."""

from micron_jax.cli import main


def refusal(argv, capsys, *, begun=False) -> str:
    """Runs a command that must be refused; returns its one line, the last if the work has begun."""
    assert main([*map(str, argv)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *progress, line = [part for part in err.replace("\r", "\n").splitlines() if part.strip()]
    assert begun or not progress
    assert line.startswith("micron-jax: ")
    return line

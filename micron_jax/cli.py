"""The command line `micron-jax COMMAND`, and the messages that it ends with."""

import contextlib
import errno
import importlib
import os
import sys
import warnings

from micron_jax.errors import Notice, UserError, printable

PROGRAMS = {
    "pretrain": "learn from an unlabeled corpus, on one device or many",
    "finetune": "train and test a classifier on a benchmark, all folds side by side",
    "evaluate": "compute metrics, intervals and a report of predictions, from any source",
    "extract": "write the features of images, videos or a data set into one file",
    "spot": "find micro-expressions in films: when, where, and how likely",
    "visualize": "show what moved between two frames, and when in a video",
    "app": "show the same on a page in the browser, for pictures, videos or the camera",
    "convert": "convert a checkpoint from the PyTorch release, or back to it",
    "export": "write what a network computes as a file that runs without micron_jax",
    "compare": "compare our numbers with the PyTorch release, live or recorded",
    "data": "build, list and check data sets, crop faces, make a set with known truth",
    "plan": "tell what a pretraining needs on TPUs or GPUs that are not here",
    "bench": "measure on this machine: speed beside the PyTorch release, what was learned",
    "demo": "do everything once, in minutes: corpus, pretraining, fine-tuning, report",
}

USAGE = "usage: micron-jax COMMAND [options]"
ABOUT = "Micron-BERT in JAX: self-supervised learning of facial micro-expressions."
MORE = "Options of a command: micron-jax COMMAND --help. The version: micron-jax --version."


def _help() -> str:
    """The commands, as wide as the terminal."""
    import shutil
    import textwrap

    width = max(24, shutil.get_terminal_size().columns)
    commands = [
        textwrap.fill(line, width, initial_indent=f"  {name:<11}", subsequent_indent=13 * " ")
        for name, line in PROGRAMS.items()
    ]
    about, more = (textwrap.fill(text, width) for text in (ABOUT, MORE))
    return "\n".join([USAGE, "", about, "", "commands:", *commands, "", more])


def main(argv: list[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: words after `micron-jax`; None for those of this process.

    Returns:
      The exit status: 0 done, 2 the user's input or a full disk (one line on stderr), 141 a closed
      pipe. Other exceptions pass.
    """
    try:
        try:
            with _notices_in_one_line():
                return _run(sys.argv[1:] if argv is None else argv)
        except UserError as error:
            print(f"micron-jax: {error}", file=sys.stderr)
            return 2
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
    except BrokenPipeError:  # the reader has left, as `head` does
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 141
    except OSError as error:
        if (line := _disk_line(error)) is None:
            raise
        with contextlib.suppress(OSError):  # standard output itself may be on that disk
            print(f"micron-jax: {line}", file=sys.stderr)
        return 2


def _disk_line(error: OSError) -> str | None:
    """The line on an error of a full or read-only disk; None: the error is another."""
    where = f"{printable(error.filename)}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}{error.strerror}; make room, and start the same command again"
    if error.errno == errno.EROFS:
        return f"{where}{error.strerror}; name a place that can be written"
    if "No usable temporary directory" in str(error):
        return "no temporary folder can be written; set TMPDIR to one that can be, with room"
    return None


@contextlib.contextmanager
def _notices_in_one_line():
    """Prints each `Notice` as one line on stderr; other warnings look as ever."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_line(message, category, *place):
            if issubclass(category, Notice):
                print(f"micron-jax: warning: {message}", file=sys.stderr)
            else:
                show(message, category, *place)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show_line
        yield


def _run(argv: list[str]) -> int:
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        from micron_jax import __version__

        print(f"micron-jax {__version__}")
        return 0
    if name not in PROGRAMS:
        from micron_jax.checks import did_you_mean

        raise UserError(f"no command {name!r}; {did_you_mean(name, PROGRAMS)}")
    return importlib.import_module(f"micron_jax.programs.{name}").main(rest)

"""`micron-jax SUBCOMMAND`: finds the program, nothing else."""

import importlib
import os
import sys

from micron_jax.errors import UserError

PROGRAMS = {
    "pretrain": "learn from an unlabeled corpus, on one device or many",
    "finetune": "train and test a classifier on a benchmark, all folds side by side",
    "evaluate": "metrics, intervals and a report of predictions, ours or anyone's",
    "extract": "features of images, videos or a data set, into one file",
    "visualize": "what moved between two frames, and when in a video",
    "app": "the same on a page in the browser: drop two pictures or a video",
    "convert": "turn a checkpoint of the PyTorch release into a folder of ours, or back",
    "compare": "check our numbers against the PyTorch release, live or recorded",
    "data": "build, list and check data sets, crop faces, or make a set with known truth",
    "plan": "what a pretraining will need of TPUs or GPUs that are not here",
    "bench": "measure on this machine: speed beside the PyTorch release, what was learned",
    "demo": "everything once, in minutes: corpus, pretraining, fine-tuning, report",
}

HELP = """usage: micron-jax COMMAND [options]

Micron-BERT in JAX: self-supervised learning of facial micro-expressions.

commands:
{commands}

micron-jax COMMAND --help tells the rest; micron-jax --version the version.""".format(
    commands="\n".join(f"  {name:<10}{line}" for name, line in PROGRAMS.items())
)


def main(argv: list[str] | None = None) -> int:
    """Runs one subcommand.

    Returns:
      The exit status: 0 done, 1 our fault (with a traceback), 2 the user's input (one line).
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(HELP)
        return 0
    if argv[0] == "--version":
        from micron_jax import __version__

        print(f"micron-jax {__version__}")
        return 0
    name, rest = argv[0], argv[1:]
    try:
        if name not in PROGRAMS:
            raise UserError(f"no command {name!r}; the commands are {', '.join(PROGRAMS)}")
        status = importlib.import_module(f"micron_jax.programs.{name}").main(rest)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"micron-jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # of `| head`: whoever read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141

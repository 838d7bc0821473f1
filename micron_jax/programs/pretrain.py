"""`micron-jax pretrain`: self-supervised learning from an unlabeled corpus."""

import functools
import sys
import warnings
from pathlib import Path

from micron_jax.errors import Notice, printable
from micron_jax.programs.arguments import Arguments, values_of
from micron_jax.programs.options import number, read_recipe
from micron_jax.programs.stopping import keeping

EXAMPLES = """
  micron-jax pretrain --config pretrain_paper --workdir runs/paper --config.data.data_dir=DIR
  micron-jax pretrain --config pretrain_release --workdir runs/base --config.data.data_dir=DIR \\
      --config.batch_size=64 --config.model.size=base --config.mesh.fsdp=4
  micron-jax pretrain --config pretrain_pod --workdir /mnt/run --config.data.data_dir=/mnt/data \\
      --coordinator 10.0.0.1:1234 --processes 2 --process 0
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax pretrain",
        "Learn from an unlabeled corpus. Started again, it continues the run.",
        EXAMPLES,
        takes_settings=True,
    )
    parser.option("--config")
    parser.option("--workdir", "folder of the run: checkpoints, curves, pictures")
    several = parser.add_argument_group(
        "several processes",
        "Start the same command on each, with the same workdir. On a TPU pod, under srun\n"
        "and under Open MPI before version 5 they find each other. Elsewhere, give all of\n"
        "--coordinator, --processes and --process. All hosts must reach that port.",
    )
    several.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address where process 0 listens; :PORT chooses the port alone, where the processes "
        "find each other",
    )
    several.add_argument("--processes", metavar="N", type=int, help="how many processes")
    several.add_argument("--process", metavar="I", type=int, help="number of this process, from 0")
    several.add_argument(
        "--initialization-timeout",
        metavar="SECONDS",
        type=number(float, at_least=1, at_most=86400),
        help="how long the processes wait for each other (default: 300)",
    )
    options = parser.parse_args(argv)

    from micron_jax.training import hosts
    from micron_jax.training.config import parse

    config = parse(read_recipe(options, "pretrain"))
    place = values_of(options, "coordinator", "processes", "process")
    if options.initialization_timeout:
        place["initialization_timeout"] = options.initialization_timeout
    hosts.initialize(**place, notify=_tell)
    with hosts.fail_fast():
        return run(config, options.workdir)


def _tell(line: str) -> None:
    print(f"micron-jax: {printable(line)}", file=sys.stderr, flush=True)


def run(config, workdir: Path) -> int:
    """Pretrains by a `PretrainConfig`, and prints the beginning and the end.

    Returns:
      The exit status: 0, or 128 + the number of the signal that stopped the run.

    Raises:
      UserError: there is no corpus; see `training.loop.pretrain`.
    """
    from micron_jax.datasets.frames import open_frames
    from micron_jax.training import hosts, loop

    with keeping("saved steps"):
        corpus = source, clips = hosts.together(lambda: open_frames(config.data.data_dir))
        hosts.together(source.check)
        if hosts.is_chief() and all(clip.seconds is None for clip in clips):
            line = (
                f"{config.data.data_dir}: an earlier version built the corpus, without the times "
                "of its frames; they count as equally spaced. Where films have a variable frame "
                "rate, build it again"
            )
            warnings.warn(Notice(line), stacklevel=2)
        result = loop.pretrain(config, workdir, corpus, notify=functools.partial(print, flush=True))
    if hosts.is_chief() and result.signal:
        line = f"stopped at step {result.step}, which is saved; the same command goes on"
        print(line, file=sys.stderr)
    elif hosts.is_chief():
        print(f"done: {result.step} steps in {workdir}")
    return 128 + result.signal if result.signal else 0

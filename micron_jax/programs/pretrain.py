"""`micron-jax pretrain`: self-supervised learning from an unlabeled corpus."""

from pathlib import Path

from micron_jax.programs import Arguments

EXAMPLES = """
  micron-jax pretrain --config pretrain_paper --workdir runs/paper --config.data.data_dir=DIR
  micron-jax pretrain --config pretrain_release --workdir runs/base --config.data.data_dir=DIR \\
      --config.batch_size=64 --config.model.size=base --config.mesh.fsdp=4
  micron-jax pretrain --config pretrain_pod --workdir /mnt/run --config.data.data_dir=/mnt/data \\
      --coordinator 10.0.0.1:1234 --processes 2 --process 0

Any setting of the config can be given so: --config.FIELD=VALUE.
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax pretrain",
        description="Learn from an unlabeled corpus. Started again, it goes on where it was.",
        examples=EXAMPLES,
    )
    parser.add_argument("--config", required=True, help="a file, or the name of a shipped recipe")
    parser.add_argument("--workdir", required=True, type=Path, help="checkpoints, curves, pictures")
    several = parser.add_argument_group(
        "several processes",
        "The same command on each, with the same workdir. On a TPU pod, under srun and\n"
        "under Open MPI before 5 they find each other; elsewhere, and to overrule that:",
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens")
    several.add_argument("--processes", metavar="N", type=int, help="how many there are")
    several.add_argument("--process", metavar="I", type=int, help="which this is, from 0")
    arguments, settings = parser.parse_known_args(argv)

    from micron_jax import config as configs
    from micron_jax.training import hosts
    from micron_jax.training.config import parse
    from micron_jax.training.loop import pretrain

    config = parse(configs.override(configs.load(arguments.config), settings))
    hosts.initialize(arguments.coordinator, arguments.processes, arguments.process)
    with hosts.fail_fast():
        return pretrain(config, arguments.workdir)

"""`micron-jax pretrain`: self-supervised learning from an unlabelled corpus."""

from pathlib import Path

from micron_jax.programs import Arguments


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax pretrain",
        description="Learn from an unlabelled corpus. Started again, it goes on where it was.",
        epilog="Any setting of the config: --config.FIELD=VALUE, e.g. --config.batch_size=64 "
        "--config.model.size=base",
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, help="a file, or the name of a shipped recipe")
    parser.add_argument("--workdir", required=True, type=Path, help="checkpoints, curves, pictures")
    arguments, settings = parser.parse_known_args(argv)

    from micron_jax import config
    from micron_jax.pretraining import pretrain
    from micron_jax.training.recipe import parse

    values = config.override(config.load(arguments.config), settings)
    return pretrain(parse(values), arguments.workdir)

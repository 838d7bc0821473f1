"""`micron-jax finetune`: a classifier trained and tested on a benchmark, fold by fold."""

from pathlib import Path

from micron_jax.programs import Arguments


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax finetune",
        description="Train a classifier on a benchmark, every fold side by side, and test it on "
        "subjects it has not seen. Started again, it keeps the folds that are done.",
        epilog="Any setting of the config: --config.FIELD=VALUE, e.g. --config.protocol=samm_5 "
        "--config.checkpoint=runs/demo --config.tuning.trainable=last:1",
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, help="a file, or the name of a shipped recipe")
    parser.add_argument("--workdir", required=True, type=Path, help="predictions, curves, report")
    arguments, settings = parser.parse_known_args(argv)

    from micron_jax import config
    from micron_jax.evaluation.recipe import parse
    from micron_jax.finetuning import finetune

    values = config.override(config.load(arguments.config), settings)
    return finetune(parse(values), arguments.workdir)

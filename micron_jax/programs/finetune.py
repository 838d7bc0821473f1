"""`micron-jax finetune`: a classifier trained and tested on a benchmark, fold by fold."""

from pathlib import Path

from micron_jax.programs import Arguments

EXAMPLES = """
  micron-jax finetune --config finetune_loso --workdir runs/casme2_5 \\
      --config.data.data_dir=DIR --config.checkpoint=CKPT --config.protocol=casme2_5
  micron-jax finetune --config finetune_loso --workdir runs/samm_5 --config.data.data_dir=DIR \\
      --config.checkpoint=CKPT --config.protocol=samm_5 --config.tuning.trainable=last:1
  micron-jax finetune --config finetune_cross --workdir runs/cross --config.data.data_dir=DIR \\
      --config.checkpoint=CKPT

Any setting of the config can be given so: --config.FIELD=VALUE.
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax finetune",
        description="Train a classifier on a benchmark, every fold side by side, and test it on "
        "subjects it has not seen. Started again, it keeps the folds that are done.",
        examples=EXAMPLES,
    )
    parser.add_argument("--config", required=True, help="a file, or the name of a shipped recipe")
    parser.add_argument("--workdir", required=True, type=Path, help="predictions, curves, report")
    arguments, settings = parser.parse_known_args(argv)

    from micron_jax import config
    from micron_jax.finetuning.config import parse
    from micron_jax.finetuning.run import finetune

    values = config.override(config.load(arguments.config), settings)
    return finetune(parse(values), arguments.workdir)

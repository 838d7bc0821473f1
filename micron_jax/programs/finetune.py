"""`micron-jax finetune`: a classifier trained and tested on a benchmark, fold by fold."""

from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import add_config, add_workdir, read_recipe

EXAMPLES = """
  micron-jax finetune --config finetune_loso --workdir runs/casme2_5 \\
      --config.data.data_dir=DIR --config.checkpoint=CKPT --config.protocol=casme2_5
  micron-jax finetune --config finetune_loso --workdir runs/samm_5 --config.data.data_dir=DIR \\
      --config.checkpoint=CKPT --config.protocol=samm_5 --config.tuning.trainable=last:1
  micron-jax finetune --config finetune_cross --workdir runs/cross --config.data.data_dir=DIR \\
      --config.checkpoint=CKPT
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax finetune",
        description="Train a classifier on a benchmark, every fold side by side, and test it on "
        "subjects it has not seen. Started again, it keeps the folds that are done.",
        examples=EXAMPLES,
        takes_settings=True,
    )
    add_config(parser)
    add_workdir(parser, "folder of the run: predictions, curves, report, classifier")
    options = parser.parse_args(argv)

    from micron_jax.finetuning.config import parse
    from micron_jax.finetuning.run import finetune

    return finetune(parse(read_recipe(options, "finetune")), options.workdir)

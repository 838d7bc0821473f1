"""`micron-jax finetune`: a classifier trained and tested on a benchmark, fold by fold."""

import functools
import sys
from pathlib import Path

from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import read_recipe
from micron_jax.programs.stopping import keeping

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
        "micron-jax finetune",
        "Train a classifier on a benchmark, every fold side by side, and test it on "
        "subjects it has not seen. Started again, it keeps the folds that are done.",
        EXAMPLES,
        takes_settings=True,
    )
    parser.option("--config")
    parser.option("--workdir", "folder of the run: predictions, curves, report, classifier")
    options = parser.parse_args(argv)

    from micron_jax.finetuning.config import parse

    return run(parse(read_recipe(options, "finetune")), options.workdir)


def run(config, workdir: Path) -> int:
    """Fine-tunes by a `FinetuneConfig`, prints the figures and returns the exit status."""
    from micron_jax.finetuning.run import finetune

    with keeping("folds that are done"):
        result = finetune(config, workdir, notify=functools.partial(print, flush=True))
    if result.signal:
        folds = f"{result.finished} of {result.total} folds are kept"
        if result.finished == result.total:
            folds = "the folds are done"
        print(f"stopped: {folds}, and the same command goes on", file=sys.stderr)
        return 128 + result.signal
    if config.target == "units":
        from micron_jax.evaluation.action_units import units_text

        print(units_text(result.summary))
        print(f"report: {result.report}")
        return 0
    for name in ("uf1", "uar"):
        intervals = result.summary["intervals"]
        low, high = intervals[name] if intervals else (0.0, 1.0)
        value = result.summary[name]
        print(f"{name.upper()} {value:.3f} (95 % over subjects: {low:.3f} to {high:.3f})")
    if leaky := result.leaky:
        honest = leaky["honest"]
        for name in ("uf1", "uar"):
            print(f"{name.upper()} {honest[name]:.3f} honest, {leaky[name]:.3f} leaky")
        print(leaky["label"])
    if result.classifier:
        print(f"classifier, trained on everyone: {result.classifier}")
    print(f"report: {result.report}")
    return 0

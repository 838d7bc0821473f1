"""`micron-jax bench`: measurements on the user's own machine."""

import argparse

from micron_jax.errors import UserError
from micron_jax.programs import (
    bench_ablation,
    bench_gpu,
    bench_input,
    bench_learn,
    bench_speed,
    bench_spot,
)
from micron_jax.programs.arguments import Arguments, add_command, values_of
from micron_jax.programs.output import write_json


def main(argv: list[str]) -> int:
    examples = "  micron-jax bench loso\n  micron-jax bench learn --help"
    parser = Arguments("micron-jax bench", "Measurements on your own machine.", examples)
    kinds = parser.add_subparsers(
        required=True, metavar="(train | extract | input | loso | learn | spot | ablation | gpu)"
    )
    _add_loso(kinds)
    bench_learn.add(kinds)
    bench_spot.add(kinds)
    bench_ablation.add(kinds)
    bench_speed.add(kinds)
    bench_input.add(kinds)
    bench_gpu.add(kinds)
    options = parser.parse_args(argv)
    return options.run(options)


def _add_loso(kinds) -> None:
    text = "measure folds trained side by side against the same folds one by one (frozen backbone)"
    examples = "  micron-jax bench loso\n  micron-jax bench loso --epochs 5 --json loso.json"
    parser = add_command(kinds, "loso", text, examples, _loso)
    parser.count("--samples", 246, "samples of the data set")
    parser.count("--subjects", 26, "subjects; each is a fold", at_least=2)
    parser.count("--classes", 5, "classes", at_least=2)
    parser.count("--width", 512, "width of the features")
    parser.count("--epochs", 20, "epochs of each fold")
    parser.count("--repeats", 5, "turns, of which the medians are printed")
    parser.option("--json")


def _loso(options: argparse.Namespace) -> int:
    if options.samples < options.subjects:
        least = f"{options.subjects}, one for each subject"
        raise UserError(f"--samples {options.samples}: must be at least {least}")
    if options.width < options.classes:
        raise UserError(f"--width {options.width}: must be at least {options.classes}, the classes")

    from micron_jax.benchmarks.fold_speed import Numbers, measure

    names = ("samples", "subjects", "classes", "width", "epochs")
    numbers = Numbers(**values_of(options, *names))
    report = measure(numbers, repeats=options.repeats)
    print(f"{numbers.subjects} folds of {numbers.samples} samples, {report['device']}")
    for title, side in (("side by side", "ours"), ("one by one", "theirs")):
        rate = report[side]["samples_per_second"]
        print(f"{title:<13}{report[side]['seconds']:8.2f} s {rate:12,.0f} samples/s")
    same = "the same predictions" if report["identical"] else "PREDICTIONS DIFFER"
    speed = f"{report['ratio']:.1f} times as fast"
    print(f"{speed}; {same}, probabilities within {report['error']:.0e}")
    write_json(options.json, report)
    return 0 if report["identical"] else 1

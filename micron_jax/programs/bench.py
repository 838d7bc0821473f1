"""`micron-jax bench`: measurements on the user's own machine."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import (
    Arguments,
    bench_ablation,
    bench_input,
    bench_learn,
    bench_speed,
    write_json,
)


def main(argv: list[str]) -> int:
    options, settings = _arguments().parse_known_args(argv)
    if "settings" in options:
        options.settings = settings
    elif settings:
        raise UserError(f"unknown: {' '.join(settings)} (see micron-jax bench --help)")
    return options.run(options)


def _arguments() -> Arguments:
    parser = Arguments(
        prog="micron-jax bench",
        description="Measurements on your own machine.",
        examples="  micron-jax bench loso\n  micron-jax bench learn --help",
    )
    kinds = parser.add_subparsers(
        required=True, metavar="(train | extract | input | loso | learn | ablation)"
    )
    text = "folds trained side by side against the same folds one by one (frozen backbone)"
    loso = kinds.add_parser(
        "loso",
        help=text,
        description=text,
        examples="  micron-jax bench loso\n  micron-jax bench loso --epochs 5 --json loso.json",
    )
    for option, default, text in (
        ("--samples", 246, "of the data set (%(default)s)"),
        ("--subjects", 26, "each a fold (%(default)s)"),
        ("--classes", 5, "(%(default)s)"),
        ("--width", 512, "of the features (%(default)s)"),
        ("--epochs", 20, "of each fold (%(default)s)"),
        ("--repeats", 5, "turns, of which the medians are told (%(default)s)"),
    ):
        loso.add_argument(option, type=int, default=default, help=text)
    loso.add_argument("--json", type=Path, metavar="OUT", help="write the figures there as well")
    loso.set_defaults(run=_loso)
    bench_learn.add(kinds)
    bench_ablation.add(kinds)
    bench_speed.add(kinds)
    bench_input.add(kinds)
    return parser


def _loso(options: argparse.Namespace) -> int:
    least = {"classes": 2, "width": options.classes, "subjects": 2, "samples": options.subjects}
    for name in ("classes", "width", "subjects", "samples", "epochs", "repeats"):
        if getattr(options, name) < least.get(name, 1):
            raise UserError(
                f"--{name} {getattr(options, name)}: needed is {least.get(name, 1)} or more"
            )

    from micron_jax.benchmarks.fold_speed import Numbers, measure

    names = ("samples", "subjects", "classes", "width", "epochs")
    numbers = Numbers(**{name: getattr(options, name) for name in names})
    found = measure(numbers, repeats=options.repeats)
    print(f"{numbers.subjects} folds of {numbers.samples} samples, {found['device']}")
    for words, side in (("side by side", "ours"), ("one by one", "theirs")):
        rate = found[side]["samples_per_second"]
        print(f"{words:<13}{found[side]['seconds']:8.2f} s {rate:12,.0f} samples/s")
    same = "the same predictions" if found["identical"] else "PREDICTIONS DIFFER"
    print(f"{found['ratio']:.1f} times as fast; {same}, probabilities within {found['error']:.0e}")
    if options.json:
        write_json(options.json, found)
    return 0 if found["identical"] else 1
